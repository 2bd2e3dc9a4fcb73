using TraceDistill.Data.Contracts;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>A folder of traces and the trainings of a small student on them.</summary>
public abstract class TrainStageCase : IDisposable
{
    private protected TraceFolder Folder { get; } = new();

    private protected TrainOptions Options =>
        new()
        {
            Traces = [Folder.Path],
            Architecture = new ModelArchitecture
            {
                HiddenSize = 32,
                NumHiddenLayers = 2,
                NumAttentionHeads = 2,
                MaxPositionEmbeddings = 64,
            },
            MaxSteps = 8,
            BatchTokens = 240,
            SaveSteps = 3,
            Workers = 2,
        };

    /// <summary>Starts from what <see cref="Options"/> made in "base".</summary>
    private protected TrainOptions Tuned => Options with { Architecture = null, Student = Folder.Out("base"), LearningRate = 1e-2 };

    private protected Task<TrainSummary> RunAsync(TrainOptions options, string name) =>
        TrainStage.RunAsync(options, Folder.Out(name), SilentObserver.Instance, TestContext.Current.CancellationToken);

    private protected async Task<float[]> TrainAsync(TrainOptions options, string name)
    {
        await RunAsync(options, name);
        using var trained = ModelDirectory.Load(Folder.Out(name));
        return trained.Flat.Span.ToArray();
    }

    public void Dispose()
    {
        Folder.Dispose();
        GC.SuppressFinalize(this);
    }
}
