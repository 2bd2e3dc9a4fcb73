using System.Diagnostics;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Benchmarks;

/// <summary>
/// What adapters and gradient checkpointing save: time of a training step and bytes of weights, of
/// gradients and activations (a set for each worker) and of moments, beside those of full fine-tuning
/// by AdamW. The ways take turns, so that what else the machine does falls on all of them.
/// </summary>
static class AdapterBenchmark
{
    static readonly ObjectivePlan Settings = ObjectivePlan.Classic(0.9, 1, MissingMass.TailBucket);

    public static int Run(Arguments arguments)
    {
        int workers = arguments.Number("workers", Environment.ProcessorCount),
            rank = arguments.Number("lora-r", 16),
            hidden = arguments.Number("hidden-size", 512);
        var shape = new ModelArchitecture
        {
            HiddenSize = hidden,
            NumHiddenLayers = arguments.Number("layers", 4),
            NumAttentionHeads = 8,
            NumKeyValueHeads = 2,
            MaxPositionEmbeddings = 512,
        };
        using var parameters = new ModelParameters(shape.Configure(TrainingBenchmark.Vocabulary, [0]));
        parameters.Initialize(seed: 1);
        using var narrow = In16Bits(parameters);
        var batch = TrainingBenchmark.Batch(arguments.Number("batch-tokens", 2_048));
        Way[] ways =
        [
            new("full", TrainedWeights.All(parameters), workers),
            new("full, checkpointing", TrainedWeights.All(parameters), workers, gradientCheckpointing: true),
            new("half frozen", TrainedWeights.AllBut(parameters, LowerHalf(parameters)), workers),
            Adapted("LoRA", parameters),
            Adapted("LoRA, checkpointing", parameters, gradientCheckpointing: true),
            Adapted("LoRA, bfloat16 base", narrow),
            Adapted("LoRA, dropout 0.1", parameters, dropout: 0.1),
            Adapted("DoRA", parameters, useDora: true),
            Adapted("DoRA, bfloat16 base", narrow, useDora: true),
        ];
        for (var round = 0; round <= arguments.Number("rounds", 5); round++)
        {
            foreach (var way in ways)
            {
                way.Step(batch, isWarmUp: round == 0);
            }
        }

        foreach (var way in ways)
        {
            Console.WriteLine(
                $"{way.Name, -20} {way.Trained.Count, 11:N0} of {way.Trained.Total, 11:N0} weights, {way.WeightBytes / 1e6, 6:N1} MB; "
                    + $"gradients and moments {way.Bytes / 1e6, 7:N1} MB, {(double)way.Bytes / ways[0].Bytes, 6:P1}; "
                    + $"a step {way.Median * 1e3, 6:N0} ms, {way.Median / ways[0].Median:F2} of full"
            );
        }

        Array.ForEach(ways, way => way.Dispose());
        return 0;

        Way Adapted(string name, IDecoderWeights model, double dropout = 0, bool useDora = false, bool gradientCheckpointing = false) =>
            new(
                name,
                TrainedWeights.Of(
                    new LoraAdapter(model, new LoraSettings(rank, 2 * rank, dropout, [LoraAdapter.AllLinear], useDora), seed: 1)
                ),
                workers,
                gradientCheckpointing
            );
    }

    static IDecoderWeights In16Bits(ModelParameters parameters)
    {
        var folder = Directory.CreateTempSubdirectory("tracedistill-benchmark-");
        try
        {
            ModelDirectory.Save(folder.FullName, parameters, TensorDtype.BFloat16);
            return ModelDirectory.LoadFrozen(folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static HashSet<string> LowerHalf(ModelParameters parameters) =>
        [
            .. parameters.Names.Where(name =>
                name.Contains("embed_tokens")
                || Enumerable.Range(0, parameters.Configuration.NumHiddenLayers / 2).Any(layer => name.Contains($"layers.{layer}."))
            ),
        ];

    sealed class Way(string name, TrainedWeights trained, int workers, bool gradientCheckpointing = false) : IDisposable
    {
        readonly GradientWorkers _gradients = new(trained, workers, microBatchTokens: 1_024, gradientCheckpointing: gradientCheckpointing);
        readonly WeightOptimizer _optimizer = new(new OptimizationOptions(), trained);
        readonly List<double> _seconds = [];

        public string Name => name;

        public TrainedWeights Trained => trained;

        public long WeightBytes => (trained.Model.Count * trained.Model.Dtype.Size()) + (trained.Adapter?.Count * sizeof(float) ?? 0);

        public long Bytes =>
            (sizeof(float) * workers * _gradients.Gradient.Count)
            + WeightOptimizer.MomentBytes(OptimizerKind.Adamw, _gradients.Gradient.Count, MasterDtype.Float32);

        public double Median => _seconds.Order().ElementAt(_seconds.Count / 2);

        public void Step(IReadOnlyList<Training.Alignment.TraceTokens> batch, bool isWarmUp)
        {
            var start = Stopwatch.GetTimestamp();
            _gradients.Accumulate(batch, Settings.At(TrainingPoint.First), new UpdateNoise(1, 1, 0));
            _optimizer.Step(_gradients.Gradient, 1e-3, 1e-6, 1);
            if (!isWarmUp)
            {
                _seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }
        }

        public void Dispose()
        {
            _gradients.Dispose();
            _optimizer.Dispose();
            trained.Adapter?.Dispose();
        }
    }
}
