using TraceDistill.Cli.Stages;

namespace TraceDistill.Cli.Recipes;

/// <summary>Where the verb of a stage runs.</summary>
interface IStageHost
{
    /// <summary>Runs the verb to its end.</summary>
    /// <param name="stage">The stage, whose inputs are finished.</param>
    /// <param name="context">Where it writes and what it tells.</param>
    /// <param name="cores">Cores that it may fill.</param>
    /// <param name="cancellationToken">Asks for an orderly end, from which the stage can go on.</param>
    Task<StageWork> RunAsync(PlannedStage stage, StageContext context, int cores, CancellationToken cancellationToken);

    /// <summary>
    /// The resource that a stage waits for before it starts beside others, as the end of "waits for …"; null where it can start.
    /// </summary>
    string? Shortage(PlannedStage stage, IReadOnlyList<PlannedStage> running);

    /// <summary>Memory that a running stage holds by now, in bytes; 0 where it is none of its own.</summary>
    long MemoryOf(string stage);
}

/// <summary>The result of a verb.</summary>
/// <param name="Summary">The verb's summary of its result.</param>
/// <param name="PeakMemoryBytes">The most memory its process held at once meanwhile.</param>
sealed record StageWork(object? Summary, long PeakMemoryBytes);

/// <summary>This process, all of its cores.</summary>
sealed class OwnProcess : IStageHost
{
    public static OwnProcess Instance { get; } = new();

    public async Task<StageWork> RunAsync(PlannedStage stage, StageContext context, int cores, CancellationToken cancellationToken)
    {
        PeakMemory.Reset();
        var summary = await stage.Verb.RunAsync(stage.Options, context, cancellationToken);
        return new StageWork(summary, PeakMemory.Read());
    }

    public string? Shortage(PlannedStage stage, IReadOnlyList<PlannedStage> running) => null;

    public long MemoryOf(string stage) => 0;
}
