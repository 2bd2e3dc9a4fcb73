using System.Collections.Concurrent;
using System.Text.Json;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Way in which a run's stage came to be finished.</summary>
enum StageOutcome
{
    /// <summary>It was finished and nothing that it depends on has changed.</summary>
    Unchanged,

    /// <summary>It was run from its beginning.</summary>
    Done,

    /// <summary>It went on from where an earlier run was interrupted.</summary>
    Resumed,
}

/// <summary>A stage of a finished run.</summary>
sealed record StageResult(string Stage, string Verb, StageOutcome Outcome, double Seconds, long PeakMemoryBytes, object? Summary);

/// <summary>Runs the stages of a plan, passing over those that are finished and going on inside those that are not.</summary>
/// <param name="recipe">The recipe's file, for messages.</param>
/// <param name="host">Where stages run that may run beside others.</param>
/// <param name="isDiscarded">True to give up results that stages made under other options.</param>
sealed class RecipeRunner(
    RunDirectory directory,
    string recipe,
    IStageHost host,
    IRunObserver console,
    TimeProvider timeProvider,
    bool isDiscarded = false
)
{
    static readonly TimeSpan WorkNoteInterval = TimeSpan.FromSeconds(2);
    static readonly TimeSpan LeftoverInterval = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan LeftoverPatience = TimeSpan.FromSeconds(60);

    /// <param name="stages">In their order; a stage whose inputs are not finished is an error.</param>
    /// <param name="jobs">Most stages at a time, where they can run beside others. A stage that runs alone runs in this process.</param>
    /// <param name="isFinished">
    /// Returns whether a stage is known to be finished: such a stage comes first, and takes no core from others.
    /// </param>
    /// <param name="cancellationToken">Stops the stages that are running.</param>
    /// <exception cref="StageFailure">A stage failed; of several an <see cref="AggregateException"/> of these.</exception>
    public async Task<IReadOnlyList<StageResult>> RunAsync(
        IReadOnlyList<PlannedStage> stages,
        int jobs,
        Func<PlannedStage, bool> isFinished,
        CancellationToken cancellationToken
    )
    {
        using var metrics = new MetricsLog(directory.Metrics, timeProvider);
        var results = new List<StageResult>();
        foreach (var stage in stages.Where(isFinished))
        {
            results.Add(await RunAsync(stage, OwnProcess.Instance, Environment.ProcessorCount, metrics, cancellationToken));
        }

        var estimates = new ConcurrentDictionary<string, long>();
        var gate = new MemoryGate(
            new AvailableMemory().Read,
            stage => estimates.GetOrAdd(stage.Name, _ => EstimateMemory(stage)),
            host.MemoryOf
        );
        var scheduler = new StageScheduler(
            jobs,
            Environment.ProcessorCount,
            (stage, share, token) => RunAsync(stage, share.IsAlone ? OwnProcess.Instance : host, share.Cores, metrics, token),
            (stage, running) => host.Shortage(stage, running) ?? gate.Shortage(stage, running),
            console
        );
        results.AddRange(await scheduler.RunAsync([.. stages.Where(stage => !isFinished(stage))], cancellationToken));
        return [.. stages.Select(stage => results.First(result => result.Stage == stage.Name))];
    }

    async Task<StageResult> RunAsync(
        PlannedStage stage,
        IStageHost host,
        int cores,
        MetricsLog metrics,
        CancellationToken cancellationToken
    )
    {
        try
        {
            return await RunWhereChangedAsync(stage, host, cores, metrics, cancellationToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw new StageFailure(recipe, stage.Name, exception);
        }
    }

    async Task<StageResult> RunWhereChangedAsync(
        PlannedStage stage,
        IStageHost host,
        int cores,
        MetricsLog metrics,
        CancellationToken cancellationToken
    )
    {
        var folder = new StageFolder(directory.Path, stage.Name);
        await WaitForLeftoverAsync(stage, folder, cancellationToken);
        folder.Recover();
        var last = StageManifest.Read(folder.Published);
        var inputs = InputRecords.Of(stage, directory.Path, last?.Inputs);
        var fingerprint = Fingerprint.Of(stage, inputs);
        var outcome = StageOutcome.Unchanged;
        if (last is null || !last.IsCurrent(fingerprint, folder.Published))
        {
            var secondsBefore = folder.Begin(fingerprint, stage.Verb);
            outcome = secondsBefore is null ? StageOutcome.Done : StageOutcome.Resumed;
            if (outcome == StageOutcome.Done)
            {
                ForgetMetrics(stage.Name, metrics);
            }

            var share = cores < Environment.ProcessorCount ? $", on {cores} of {Counted.Of(Environment.ProcessorCount, "core")}" : "";
            console.Message($"{stage.Name}: {(outcome == StageOutcome.Done ? "starting" : "going on")} ({stage.Verb.Name}{share})");
            var earlier = Earlier(stage, folder, last, inputs);
            var attempt = new Attempt(stage, host, cores, folder, inputs, fingerprint, secondsBefore ?? 0, earlier);
            last = await WorkAsync(attempt, metrics, cancellationToken);
        }

        directory.Take(folder.Published, stage.Verb.RunDirectoryFiles);
        console.Message(
            outcome == StageOutcome.Unchanged
                ? $"{stage.Name}: unchanged"
                : $"{stage.Name}: done in {ProgressText.Duration(TimeSpan.FromSeconds(last.Seconds))}, "
                    + $"{ProgressText.Bytes(last.PeakMemoryBytes)} of memory"
        );
        return new StageResult(stage.Name, stage.Verb.Name, outcome, last.Seconds, last.PeakMemoryBytes, last.Summary);
    }

    /// <summary>0 where the inputs are wrong, which the stage itself tells.</summary>
    static long EstimateMemory(PlannedStage stage)
    {
        try
        {
            return stage.Verb.EstimateMemory(stage.Options);
        }
        catch (Exception exception) when (exception is InvalidInputException or IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    /// <summary>
    /// Waits for a process that an earlier run left working in the folder: it ends by itself once it sees that the run is gone.
    /// </summary>
    /// <exception cref="ExternalFailureException">It does not end.</exception>
    async Task WaitForLeftoverAsync(PlannedStage stage, StageFolder folder, CancellationToken cancellationToken)
    {
        var start = timeProvider.GetTimestamp();
        for (var isTold = false; FolderLock.IsHeld(folder.Partial, FolderLock.FileName); isTold = true)
        {
            if (timeProvider.GetElapsedTime(start) > LeftoverPatience)
            {
                FolderLock.Take(folder.Partial).Dispose();
            }

            if (!isTold)
            {
                console.Message($"{stage.Name}: waits for the process of an earlier run to end");
            }

            await Task.Delay(LeftoverInterval, timeProvider, cancellationToken);
        }
    }

    /// <summary>One try at a stage.</summary>
    /// <param name="SecondsBefore">Spent by earlier tries that this one goes on from.</param>
    sealed record Attempt(
        PlannedStage Stage,
        IStageHost Host,
        int Cores,
        StageFolder Folder,
        IReadOnlyList<InputRecord> Inputs,
        string Fingerprint,
        double SecondsBefore,
        EarlierOutput? Earlier
    );

    static EarlierOutput? Earlier(PlannedStage stage, StageFolder folder, StageManifest? last, IReadOnlyList<InputRecord> inputs) =>
        last is null || !(stage.Verb.KeepsEarlierWork || last.IsWhole(folder.Published))
            ? null
            : new EarlierOutput(
                folder.Published,
                inputs
                    .Where(input => last.Inputs.All(then => then.Key != input.Key || then.Digest != input.Digest))
                    .Select(input => input.Key)
                    .ToHashSet()
            );

    async Task<StageManifest> WorkAsync(Attempt attempt, MetricsLog metrics, CancellationToken cancellationToken)
    {
        var (stage, host, cores, folder, inputs, fingerprint, secondsBefore, earlier) = attempt;
        var start = timeProvider.GetTimestamp();
        double Seconds() => Math.Round(secondsBefore + timeProvider.GetElapsedTime(start).TotalSeconds, 3);
        void NoteWork() => folder.RecordWork(fingerprint, Seconds());

        var startedAt = timeProvider.GetUtcNow();
        using var observer = new StageObserver(stage.Name, console, metrics, directory.TensorBoard(stage.Name), timeProvider);
        var context = new StageContext
        {
            Output = folder.Partial,
            Published = folder.Published,
            RunDirectory = directory.Path,
            Earlier = earlier,
            IsDiscarded = isDiscarded,
            Observer = observer,
            TimeProvider = timeProvider,
        };
        StageWork work;
        try
        {
            // Ended before what follows it looks at the folder: a note is written beside the file that it replaces.
            await using var notes = timeProvider.CreateTimer(_ => Quietly(NoteWork), null, WorkNoteInterval, WorkNoteInterval);
            work = await host.RunAsync(stage, context, cores, cancellationToken);
        }
        catch
        {
            Quietly(NoteWork);
            Quietly(folder.DeleteIfUntouched);
            throw;
        }

        var manifest = new StageManifest
        {
            Stage = stage.Name,
            Verb = stage.Verb.Name,
            Fingerprint = fingerprint,
            ProgramVersion = Fingerprint.ProgramVersion,
            StartedAt = startedAt,
            FinishedAt = timeProvider.GetUtcNow(),
            Seconds = Seconds(),
            PeakMemoryBytes = work.PeakMemoryBytes,
            Inputs = inputs,
            Outputs = ContentDigest.Of(folder.Partial),
            Summary = JsonSerializer.SerializeToNode(work.Summary, JsonFile.Document),
        };
        folder.Publish(manifest);
        return manifest;
    }

    void ForgetMetrics(string stage, MetricsLog metrics)
    {
        metrics.Rewind(stage, long.MinValue, []);
        if (Directory.Exists(directory.TensorBoard(stage)))
        {
            Directory.Delete(directory.TensorBoard(stage), recursive: true);
        }
    }

    /// <summary>The note of the time spent is a convenience: a full disk must be reported by the stage itself.</summary>
    static void Quietly(Action note)
    {
        try
        {
            note();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException) { }
    }
}
