using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Tokens per second of training steps like the quickstart's: its student, its batches, encoded top-20 soft targets, Muon.
/// </summary>
static class TrainingBenchmark
{
    internal const int Vocabulary = 512;
    const int Prompt = 60,
        K = 20;

    static readonly ObjectivePlan Settings = ObjectivePlan.Classic(0.9, 1, MissingMass.TailBucket);

    public static int Run(Arguments arguments)
    {
        int workers = arguments.Number("workers", Environment.ProcessorCount),
            tokens = arguments.Number("batch-tokens", 2_048),
            steps = arguments.Number("steps", 100);
        var dtype = arguments.Text("compute-dtype") == "bfloat16" ? ComputeDtype.BFloat16 : ComputeDtype.Float32;
        var architecture = new ModelArchitecture
        {
            HiddenSize = arguments.Number("hidden-size", 128),
            NumHiddenLayers = arguments.Number("layers", 3),
            NumAttentionHeads = 8,
            NumKeyValueHeads = 2,
            IntermediateSize = arguments.Number("intermediate-size", 192),
            MaxPositionEmbeddings = 512,
        };
        using var parameters = new ModelParameters(architecture.Configure(Vocabulary, [0]));
        parameters.Initialize(seed: 1);
        using var gradients = new GradientWorkers(TrainedWeights.All(parameters), workers, microBatchTokens: 1_024, dtype);
        using var optimizer = new WeightOptimizer(
            new OptimizationOptions { Optim = OptimizerKind.Muon, Workers = workers },
            TrainedWeights.All(parameters)
        );
        var batch = Batch(tokens);
        var (count, soft) = (batch.Sum(sequence => sequence.Ids.Length), batch.Sum(sequence => sequence.Trained));
        for (var round = 0; round < 3; round++)
        {
            var gradient = new Cost();
            var optimizing = new Cost();
            for (var step = 0; step < steps; step++)
            {
                gradient.Measure(() => gradients.Accumulate(batch, Settings.At(TrainingPoint.First)));
                optimizing.Measure(() => optimizer.Step(gradients.Gradient, 1.0 / soft, 1e-5, step + 1));
            }

            var decoding = new Cost();
            decoding.Measure(() => batch.ForEach(sequence => sequence.Soft!.Read()));
            Console.WriteLine(
                $"{count * steps / (gradient.Seconds + optimizing.Seconds):N0} tokens/s; "
                    + $"a step of {count:N0} tokens: gradient {gradient.Text(steps)}, optimizer {optimizing.Text(steps)}; "
                    + $"decoding its {soft:N0} soft targets, part of the gradient: {decoding.Text(1)}"
            );
        }

        return 0;
    }

    /// <summary>Sequences as long as the quickstart's, 100 to 230 tokens.</summary>
    internal static List<TraceTokens> Batch(int tokens)
    {
        var random = new Random(1);
        var batch = new List<TraceTokens>();
        for (int length; (length = random.Next(100, 230)) <= tokens; tokens -= length)
        {
            var ids = Enumerable.Range(0, length).Select(_ => random.Next(Vocabulary)).ToArray();
            batch.Add(new TraceTokens(ids, Prompt, EncodedSoftTargets.From(Logprobs(ids[Prompt..], random), new SoftTargetChanges())));
        }

        return batch;
    }

    /// <summary>Halving shares: about as certain as a teacher is.</summary>
    internal static TokenLogprobs Logprobs(int[] ids, Random random, int vocabulary = Vocabulary)
    {
        var logprobs = new TokenLogprobs
        {
            K = K,
            TokenIds = ids,
            Logprobs = [.. ids.Select(_ => MathF.Log(0.8f))],
            TopIds = [.. ids.SelectMany(id => Enumerable.Range(0, K).Select(i => (id + i * 23) % vocabulary))],
            TopLogprobs = [.. ids.SelectMany(_ => Enumerable.Range(0, K).Select(i => MathF.Log(0.8f) - 1.9f * i - random.NextSingle()))],
        };
        return logprobs with { Encoded = SoftTargetCodec.Encode(logprobs) };
    }

    sealed class Cost
    {
        double _processor;

        public double Seconds { get; private set; }

        public void Measure(Action run)
        {
            var (start, processor) = (System.Diagnostics.Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            run();
            Seconds += System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
            _processor += (Environment.CpuUsage.TotalTime - processor).TotalSeconds;
        }

        public string Text(int steps) => $"{Seconds / steps * 1e3:F1} ms ({_processor / steps * 1e3:F1} ms of processor)";
    }
}
