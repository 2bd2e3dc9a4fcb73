using System.Text.Json;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Progress;
using TraceDistill.Core.Observation;

namespace TraceDistill.Cli.Recipes;

/// <summary>How a run's stage came to be finished.</summary>
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
/// <param name="isDiscarded">Whether the user lets what stages made under other options be given up.</param>
sealed class RecipeRunner(RunDirectory directory, IRunObserver console, TimeProvider timeProvider, bool isDiscarded = false)
{
    static readonly TimeSpan WorkNoteInterval = TimeSpan.FromSeconds(2);

    int _working;

    /// <param name="stages">In their order; a stage whose inputs are not finished is an error.</param>
    /// <param name="jobs">Most stages at a time, where they can run beside others.</param>
    /// <param name="cancellationToken">Stops the stages that are running.</param>
    public async Task<IReadOnlyList<StageResult>> RunAsync(IReadOnlyList<PlannedStage> stages, int jobs, CancellationToken cancellationToken)
    {
        using var metrics = new MetricsLog(directory.Metrics, timeProvider);
        return await new StageScheduler(jobs, (stage, token) => RunAsync(stage, metrics, token), console).RunAsync(stages, cancellationToken);
    }

    async Task<StageResult> RunAsync(PlannedStage stage, MetricsLog metrics, CancellationToken cancellationToken)
    {
        var folder = new StageFolder(directory.Path, stage.Name);
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

            console.Message($"{stage.Name}: {(outcome == StageOutcome.Done ? "starting" : "going on")} ({stage.Verb.Name})");
            var attempt = new Attempt(stage, folder, inputs, fingerprint, secondsBefore ?? 0, Earlier(stage, folder, last, inputs));
            last = await WorkAsync(attempt, metrics, cancellationToken);
        }

        directory.Take(folder.Published, stage.Verb.RunDirectoryFiles);
        console.Message(outcome == StageOutcome.Unchanged
            ? $"{stage.Name}: unchanged"
            : $"{stage.Name}: done in {ProgressText.Duration(TimeSpan.FromSeconds(last.Seconds))}, {ProgressText.Bytes(last.PeakMemoryBytes)} of memory");
        return new StageResult(stage.Name, stage.Verb.Name, outcome, last.Seconds, last.PeakMemoryBytes, last.Summary);
    }

    /// <summary>One try at a stage.</summary>
    /// <param name="SecondsBefore">Spent by earlier tries that this one goes on from.</param>
    sealed record Attempt(
        PlannedStage Stage, StageFolder Folder, IReadOnlyList<InputRecord> Inputs, string Fingerprint, double SecondsBefore, EarlierOutput? Earlier);

    static EarlierOutput? Earlier(PlannedStage stage, StageFolder folder, StageManifest? last, IReadOnlyList<InputRecord> inputs) =>
        last is null || !(stage.Verb.KeepsEarlierWork || last.IsWhole(folder.Published)) ? null : new EarlierOutput(
            folder.Published,
            inputs.Where(input => last.Inputs.All(then => then.Key != input.Key || then.Digest != input.Digest)).Select(input => input.Key).ToHashSet());

    async Task<StageManifest> WorkAsync(Attempt attempt, MetricsLog metrics, CancellationToken cancellationToken)
    {
        var (stage, folder, inputs, fingerprint, secondsBefore, earlier) = attempt;
        var start = timeProvider.GetTimestamp();
        double Seconds() => Math.Round(secondsBefore + timeProvider.GetElapsedTime(start).TotalSeconds, 3);
        void NoteWork() => folder.RecordWork(fingerprint, Seconds());

        if (Interlocked.Increment(ref _working) == 1)
        {
            // A peak is the process's: that of stages side by side is one figure for all of them.
            PeakMemory.Reset();
        }

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
        object summary;
        try
        {
            // Ended before what follows it looks at the folder: a note is written beside the file that it replaces.
            await using var notes = timeProvider.CreateTimer(_ => Quietly(NoteWork), null, WorkNoteInterval, WorkNoteInterval);
            summary = await stage.Verb.RunAsync(stage.Options, context, cancellationToken);
        }
        catch
        {
            Quietly(NoteWork);
            Quietly(folder.DeleteIfUntouched);
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _working);
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
            PeakMemoryBytes = PeakMemory.Read(),
            Inputs = inputs,
            Outputs = ContentDigest.Of(folder.Partial),
            Summary = JsonSerializer.SerializeToNode(summary, JsonOutput.Options),
        };
        folder.Publish(manifest);
        return manifest;
    }

    void ForgetMetrics(string stage, MetricsLog metrics)
    {
        metrics.Rewind(stage, long.MinValue);
        if (Directory.Exists(directory.TensorBoard(stage)))
        {
            Directory.Delete(directory.TensorBoard(stage), recursive: true);
        }
    }

    /// <summary>The note of the time spent is a convenience: a full disk must be told by the stage itself.</summary>
    static void Quietly(Action note)
    {
        try
        {
            note();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }
}
