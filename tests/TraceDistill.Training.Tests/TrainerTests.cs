using TraceDistill.Core.Alignment;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Packing;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Losses;
using TraceDistill.Training.Models;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests;

public class TrainerTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 30, HiddenSize = 32, IntermediateSize = 32, NumHiddenLayers = 2, NumAttentionHeads = 2, NumKeyValueHeads = 2, HeadDim = 16,
        MaxPositionEmbeddings = 64, TieWordEmbeddings = true,
    };

    internal static readonly OptimizationOptions Options = new() { MaxSteps = 30, BatchTokens = 120, MicroBatchTokens = 40, SaveSteps = 7, LoggingSteps = 5, Workers = 2, LearningRate = 1e-2 };

    [Theory]
    [InlineData(OptimizerKind.Adamw, ComputeDtype.Float32)]
    [InlineData(OptimizerKind.Muon, ComputeDtype.Float32)]
    [InlineData(OptimizerKind.Muon, ComputeDtype.BFloat16)]
    public void Run_Twice_GivesTheSameBits(OptimizerKind optim, ComputeDtype dtype)
    {
        var options = Options with { Optim = optim, ComputeDtype = dtype };
        Assert.Equal(Train(options), Train(options));
    }

    [Theory]
    [InlineData(OptimizerKind.Adamw, ComputeDtype.Float32)]
    [InlineData(OptimizerKind.Muon, ComputeDtype.Float32)]
    [InlineData(OptimizerKind.Muon, ComputeDtype.BFloat16)]
    public void Run_InterruptedAndResumed_GivesTheBitsOfAnUninterruptedRun(OptimizerKind optim, ComputeDtype dtype)
    {
        var options = Options with { Optim = optim, ComputeDtype = dtype };
        using var folder = new TemporaryDirectory();
        var state = folder.File("training.state");
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Train(options, state, new StopAt(17, stop), stop));

        var steps = new Steps();
        Assert.Equal(Train(options), Train(options, state, steps));
        Assert.Equal(15, steps.Values[0]); // the first after the checkpoint of step 14
    }

    [Fact]
    public void Run_StateOfOtherSettings_StartsAfresh()
    {
        using var folder = new TemporaryDirectory();
        var state = folder.File("training.state");
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Train(Options, state, new StopAt(17, stop), stop, fingerprint: "another run"));

        Assert.Equal(Train(Options), Train(Options, state));
    }

    [Fact]
    public void Run_TruncatedState_IsRefusedByName()
    {
        using var folder = new TemporaryDirectory();
        var state = folder.File("training.state");
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Train(Options, state, new StopAt(17, stop), stop));
        File.WriteAllBytes(state, File.ReadAllBytes(state)[..^100]);

        var error = Assert.Throws<Core.Errors.InvalidInputException>(() => Train(Options, state));
        Assert.Contains(state, error.Message);
    }

    [Fact]
    public void Run_RepetitiveSequences_LearnsThem()
    {
        var losses = new Losses();
        Train(Options with { MaxSteps = 150 }, observer: losses);

        Assert.True(losses.Values[^1] < 0.35 * losses.Values[0], $"{losses.Values[0]} → {losses.Values[^1]}");
    }

    internal static float[] Train(
        OptimizationOptions options, string? state = null, IRunObserver? observer = null, CancellationTokenSource? stop = null, string fingerprint = "this run")
    {
        using var folder = new TemporaryDirectory();
        using var parameters = new ModelParameters(Shape);
        parameters.Initialize(1);
        var sequences = Enumerable.Range(0, 12).Select(Sequence).ToArray();
        var batches = SequencePacker.Batches([.. sequences.Select(sequence => sequence.Ids.Length)], options.BatchTokens, seed: 2)
            .Select(batch => batch.Select(index => sequences[index]).ToArray());
        new Trainer(options, parameters, observer ?? SilentObserver.Instance).Run(
            batches, step => new DistillationSettings(0.5 + 0.01 * (step % 10), 1.5, MissingMass.TailBucket), new TrainingState(state ?? folder.File("training.state"), fingerprint),
            stop?.Token ?? TestContext.Current.CancellationToken);
        return parameters.Flat.Span.ToArray();
    }

    /// <summary>Steps of one to three through the vocabulary; the teacher is nine tenths sure of the next one.</summary>
    static TraceTokens Sequence(int i)
    {
        int[] ids = [.. Enumerable.Range(0, 20).Select(t => (i + t * (1 + i % 3)) % 30)];
        return new TraceTokens(ids, 3, new SoftTargets
        {
            K = 2,
            Ids = [.. ids[3..].SelectMany(id => new[] { id, (id + 1) % 30 })],
            Logprobs = [.. ids[3..].SelectMany(_ => new[] { MathF.Log(0.9f), MathF.Log(0.05f) })],
            Tail = [.. ids[3..].Select(_ => MathF.Log(0.05f))],
        });
    }

    sealed class StopAt(int step, CancellationTokenSource source) : IRunObserver
    {
        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
            if (done == step)
            {
                source.Cancel();
            }
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values)
        {
        }

        public void Message(string text)
        {
        }
    }

    sealed class Steps : IRunObserver
    {
        public List<long> Values { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null) => Values.Add(done);

        public void Metrics(long step, IReadOnlyDictionary<string, double> values)
        {
        }

        public void Message(string text)
        {
        }
    }

    sealed class Losses : IRunObserver
    {
        public List<double> Values { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) => Values.Add(values["loss"]);

        public void Message(string text)
        {
        }
    }
}
