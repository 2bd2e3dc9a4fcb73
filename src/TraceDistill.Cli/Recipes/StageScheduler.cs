using System.Runtime.ExceptionServices;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Recipes;

/// <summary>One stage's place among those that run.</summary>
/// <param name="IsAlone">True where no other runs before it has ended.</param>
/// <param name="Cores">Cores that are its own until then.</param>
readonly record struct StageShare(bool IsAlone, int Cores);

/// <summary>
/// Starts stages in their order, each once those that it reads are finished; trainings and the like run side by side, as many as there are
/// jobs and memory allows. What a stage makes does not depend on that.
/// </summary>
/// <param name="jobs">Most stages at a time.</param>
/// <param name="cores">Cores that are shared out among the stages that run.</param>
/// <param name="run">Runs one stage.</param>
/// <param name="shortage">Describes the resource that a stage waits for before it starts beside others; null where it can start.</param>
/// <param name="console">Notified of a stage that waits, and of one that fails while others go on.</param>
sealed class StageScheduler(
    int jobs,
    int cores,
    Func<PlannedStage, StageShare, CancellationToken, Task<StageResult>> run,
    Func<PlannedStage, IReadOnlyList<PlannedStage>, string?> shortage,
    IRunObserver console
)
{
    readonly Dictionary<Task<StageResult>, (PlannedStage Stage, int Cores)> _running = [];
    readonly HashSet<string> _announced = [];

    /// <summary>
    /// Runs all stages. Once one has failed no other starts; those that are running go on to their end, so that their work is kept.
    /// </summary>
    /// <param name="stages">In an order in which each stands after those that it reads.</param>
    /// <param name="cancellationToken">Stops the running stages.</param>
    /// <returns>The results in the order of the stages.</returns>
    /// <remarks>
    /// Throws what the stage that failed threw; where several did, an <see cref="AggregateException"/> of that, in the order in which they
    /// failed.
    /// </remarks>
    public async Task<IReadOnlyList<StageResult>> RunAsync(IReadOnlyList<PlannedStage> stages, CancellationToken cancellationToken)
    {
        var results = new Dictionary<string, StageResult>();
        var waiting = stages.ToList();
        var failures = new List<Exception>();
        while (waiting.Count + _running.Count > 0)
        {
            if (failures.Count == 0 && !cancellationToken.IsCancellationRequested)
            {
                StartAll(waiting, cancellationToken);
            }

            if (_running.Count == 0)
            {
                Throw(failures);
                cancellationToken.ThrowIfCancellationRequested();
            }

            var ended = await Task.WhenAny(_running.Keys);
            _running.Remove(ended, out var one);
            try
            {
                results.Add(one.Stage.Name, await ended);
            }
            catch (Exception exception)
            {
                Tell(one.Stage, exception, isFirst: failures.Count == 0, cancellationToken);
                failures.Add(exception);
            }
        }

        Throw(failures);
        return [.. stages.Select(stage => results[stage.Name])];
    }

    /// <summary>
    /// Groups of stages that can run at the same time, each group once all stages before it are finished; a stage that runs alone is in
    /// none.
    /// </summary>
    /// <param name="stages">In an order in which each stands after those that it reads.</param>
    public static IReadOnlyList<IReadOnlyList<PlannedStage>> GroupsOf(IReadOnlyList<PlannedStage> stages)
    {
        var groups = new List<IReadOnlyList<PlannedStage>>();
        var waiting = stages.ToList();
        while (waiting.Count > 0)
        {
            List<PlannedStage> group = waiting[0].RunsBesideOthers ? [.. Ready(waiting, [])] : [waiting[0]];
            waiting.RemoveAll(group.Contains);
            if (group.Count > 1)
            {
                groups.Add(group);
            }
        }

        return groups;
    }

    /// <summary>Starts what can be started by now.</summary>
    void StartAll(List<PlannedStage> waiting, CancellationToken cancellationToken)
    {
        List<PlannedStage> running = [.. _running.Values.Select(one => one.Stage)];
        if (waiting.Count == 0 || running.Any(stage => !stage.RunsBesideOthers))
        {
            return;
        }

        List<PlannedStage> ready = [.. Ready(waiting, running)];
        if (running.Count == 0 && (jobs == 1 || ready.Count == 1 || !waiting[0].RunsBesideOthers))
        {
            Start(waiting[0], new StageShare(IsAlone: true, cores), waiting, cancellationToken);
            return;
        }

        var starting = new List<PlannedStage>();
        foreach (var stage in ready)
        {
            if (running.Count == jobs)
            {
                break;
            }

            // The first has whatever there is, as it would have by itself.
            if (running.Count > 0 && shortage(stage, running) is { } lacking)
            {
                if (_announced.Add(stage.Name))
                {
                    console.Message($"{stage.Name}: waits for {lacking}");
                }

                continue;
            }

            running.Add(stage);
            starting.Add(stage);
        }

        var free = Math.Max(0, cores - _running.Values.Sum(one => one.Cores));
        foreach (var (index, stage) in starting.Index())
        {
            var share = (free / starting.Count) + (index < free % starting.Count ? 1 : 0);
            Start(stage, new StageShare(IsAlone: false, Math.Max(1, share)), waiting, cancellationToken);
        }
    }

    void Start(PlannedStage stage, StageShare share, List<PlannedStage> waiting, CancellationToken cancellationToken)
    {
        waiting.Remove(stage);
        var task = stage.RunsBesideOthers
            ? Task.Run(() => run(stage, share, cancellationToken), CancellationToken.None)
            : run(stage, share, cancellationToken);
        _running.Add(task, (stage, share.Cores));
    }

    /// <summary>Stages that run beside others and whose inputs are finished.</summary>
    static IEnumerable<PlannedStage> Ready(IReadOnlyList<PlannedStage> waiting, IReadOnlyList<PlannedStage> running)
    {
        var unfinished = waiting.Concat(running).Select(stage => stage.Name).ToHashSet();
        return waiting.Where(stage => stage.RunsBesideOthers && !stage.DependsOn.Any(unfinished.Contains));
    }

    /// <summary>The last of several failures need not be reported here: it ends the run.</summary>
    void Tell(PlannedStage stage, Exception exception, bool isFirst, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested || (isFirst && _running.Count == 0))
        {
            return;
        }

        var others = _running.Values.Select(one => one.Stage.Name).ToList();
        var goOn = others.Count == 0 ? "" : $"; {string.Join(", ", others)} {(others.Count == 1 ? "goes" : "go")} on to the end";
        var reason = exception is StageFailure failure ? failure.Cause.Message : exception.Message;
        console.Message($"{stage.Name}: failed: {reason.ReplaceLineEndings(" ")}{goOn}");
    }

    static void Throw(List<Exception> failures)
    {
        if (failures.Count == 1)
        {
            ExceptionDispatchInfo.Throw(failures[0]);
        }

        if (failures.Count > 1)
        {
            throw new AggregateException(failures);
        }
    }
}
