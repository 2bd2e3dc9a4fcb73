using TraceDistill.Benchmarks;
using TraceDistill.Benchmarks.Collection;

if (args.Any(argument => argument is "--help" or "-h"))
{
    Usage();
    return 0;
}

return args switch
{
    ["engine", .. var options] => await EngineBenchmark.RunAsync(new Arguments(options)),
    ["scoring", .. var options] => await ScoringBenchmark.RunAsync(new Arguments(options)),
    ["serve", .. var options] => await ServeBenchmark.RunAsync(new Arguments(options)),
    ["clients", .. var options] => await HttpClients.RunAsync(new Arguments(options)),
    ["tokenizer", .. var options] => TokenizerBenchmark.Run(new Arguments(options)),
    ["llamacpp", .. var options] => await LlamaCppBenchmark.RunAsync(new Arguments(options)),
    ["load", .. var options] => LoadBenchmark.Run(new Arguments(options)),
    ["train", .. var options] => TrainingBenchmark.Run(new Arguments(options)),
    ["engines", .. var options] => EngineTable.Run(new Arguments(options)),
    ["throughput", .. var options] => ThroughputBenchmark.Run(new Arguments(options)),
    ["kernels", .. var options] => KernelBenchmark.Run(new Arguments(options)),
    ["length", .. var options] => await LengthBenchmark.RunAsync(new Arguments(options)),
    ["head", .. var options] => HeadBenchmark.Run(new Arguments(options)),
    ["objectives", .. var options] => ObjectivesBenchmark.Run(new Arguments(options)),
    ["teachers", .. var options] => TeachersBenchmark.Run(new Arguments(options)),
    ["adapters", .. var options] => AdapterBenchmark.Run(new Arguments(options)),
    ["grading", .. var options] => GradingBenchmark.Run(new Arguments(options)),
    ["storage", .. var options] => await StorageBenchmark.RunAsync(new Arguments(options)),
    ["collect", .. var options] => await CollectBenchmark.RunAsync(new Arguments(options)),
    ["inflight", .. var options] => await InFlightBenchmark.RunAsync(new Arguments(options)),
    ["resume", .. var options] => await ResumeBenchmark.RunAsync(new Arguments(options)),
    ["soak", .. var options] => await SoakBenchmark.RunAsync(new Arguments(options)),

    // Processes that the benchmarks start.
    ["llamacpp-rounds", .. var options] => LlamaCppBenchmark.RunRounds(new Arguments(options)),
    ["load-client", .. var options] => LoadBenchmark.Load(new Arguments(options)),
    ["words", .. var options] => await WordServer.RunAsync(new Arguments(options)),
    ["inflight-client", .. var options] => await InFlightBenchmark.CollectAsync(new Arguments(options)),
    ["resume-client", .. var options] => await ResumeBenchmark.CollectAsync(new Arguments(options)),
    ["collector", .. var options] => await SoakBenchmark.CollectAsync(new Arguments(options)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine(
        """
        Whole-job benchmarks. dotnet run -c Release --project tests/TraceDistill.Benchmarks -- NAME [--option value ...]

          engine   tokens/s of the generation engine alone
              [--model DIR | --sizes 0.4M,3.3M,22M,124M] [--decoder true] [--sequences 32] [--tokens 300] [--threads 2] [--top 20]
              [--rounds 4]
          scoring   tokens/s of scoring texts that exist, beside the decoder's forward pass alone
              [--model DIR | --sizes 0.4M,3.3M,22M,124M] [--lengths 256,1024] [--tokens 16384] [--top 20] [--threads 2] [--rounds 4]
          serve    tokens/s over HTTP, server and clients in processes of their own
              [--model DIR] [--clients 32] [--requests 256] [--tokens 300] [--top 20]
          tokenizer   tokens/s of encoding and decoding on one core, beside Hugging Face's tokenizers
              --model DIR --text FILE
          llamacpp   tokens/s of the engine beside llama.cpp's on the same weights
              [--model DIR] [--quantization F16] [--sequences 8] [--tokens 32] [--rounds 2]
          load   peak memory of loading a checkpoint of Qwen2.5-0.5B's shape, beside its size
              [--dtype bfloat16] [--keep DIR] | --model DIR
          train   tokens/s of the student's training steps
              [--workers N] [--batch-tokens 2048] [--compute-dtype float32] [--hidden-size 128] [--layers 3] [--steps 100]
          engines   gradient of a step at several sizes beside eager autograd and a large product
              [--sizes 0.4M,3.3M,22M,124M,0.5B-lora] [--rounds 5] [--workers N] [--only engine|eager]
              [--compute-dtype float32|bfloat16]
          throughput   tokens/s of a step's gradient against length, vocabulary and size
              [--only 0.4M|3.3M|22M|124M] [--rounds 2] [--workers N]
          kernels   time of each operation that has a kernel of its own, and of the embedding, beside libtorch's on one core
              [--sizes 0.4M,3.3M,22M,124M] [--rounds 60]
          length   tokens/s of one sequence as it grows, with attention and with a recurrence
              [--size 3.3M] [--lengths 500,2000,8000,16000]
          head   memory of output projection and objectives beside weights and gradients
              [--tokens 8192] [--vocabulary 151936] [--hidden-size 896]
          objectives   time of a step with each objective beside cross entropy alone
              [--size 0.4M|3.3M|22M|124M] [--rounds 3] [--workers N] [--only NAME,NAME]
          adapters   time of a step, and bytes of gradient and moments, with LoRA and DoRA beside full fine-tuning
              [--workers N] [--batch-tokens 2048] [--hidden-size 512] [--layers 4] [--lora-r 16] [--rounds 5]
          teachers   gradient of a step with several teachers that are run, beside one of them
              [--teachers 4] [--workers N] [--batch-tokens 2048] [--hidden-size 128] [--layers 3] [--teacher-hidden-size 256]
              [--teacher-layers 4] [--rounds 5]
          grading   verdicts on labelled pairs, and the pairs that are missed
              --pairs FILE (JSON lines: reference, output, equal)
          storage   bytes a token and tokens/s of shards in both layouts
              --traces DIR | --model DIR [--count 300] [--tokens 300] [--top 20] [--first-token 1]
          collect   tokens/s per core from response bytes to durable shard, beside Semantic Kernel's stock connector
              [--form FORM; else tracedistill, then vllm] [--tokens 1000] [--top 20] [--traces 600] [--stock-traces 60]
              [--concurrency 16]
          inflight   memory with thousands of requests in flight, and time added to the server's own
              [--requests 2000] [--tokens 1000] [--top 20] [--think MILLISECONDS]
          resume   time to the first request, and memory, of a collection with a million committed traces
              [--traces 1000000] [--added 100]
          soak   collection from a faulty server by processes that are killed
              [--problems 20000] [--kills 50] [--fault-percent 20] [--seed 1] [--concurrency 64]
        """
    );
    return 2;
}
