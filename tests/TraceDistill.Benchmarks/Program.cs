using TraceDistill.Benchmarks;

return args switch
{
    ["engine", .. var options] => await EngineBenchmark.RunAsync(new Arguments(options)),
    ["serve", .. var options] => await ServeBenchmark.RunAsync(new Arguments(options)),
    ["clients", .. var options] => await HttpClients.RunAsync(new Arguments(options)),
    ["tokenizer", .. var options] => TokenizerBenchmark.Run(new Arguments(options)),
    ["train", .. var options] => TrainingBenchmark.Run(new Arguments(options)),
    ["storage", .. var options] => await StorageBenchmark.RunAsync(new Arguments(options)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        Whole-job benchmarks. dotnet run -c Release --project tests/TraceDistill.Benchmarks -- NAME [--option value ...]

          engine   tokens/s of the generation engine alone   [--model DIR] [--sequences 32] [--tokens 300] [--threads 2] [--top 20]
          serve    tokens/s over HTTP, server and clients in processes of their own   [--model DIR] [--clients 32] [--requests 256] [--tokens 300] [--top 20]
          tokenizer   tokens/s of encoding and decoding on one core   --model DIR --text FILE
          train   tokens/s of the student's training steps   [--workers N] [--batch-tokens 2048] [--compute-dtype float32] [--hidden-size 128] [--layers 3] [--steps 100]
          storage   bytes a token and tokens/s of shards in both layouts   --traces DIR | --model DIR [--count 300] [--tokens 300] [--top 20] [--first-token 1]
        """);
    return 2;
}
