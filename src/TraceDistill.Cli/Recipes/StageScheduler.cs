using System.Runtime.ExceptionServices;
using TraceDistill.Core.Observation;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// Starts stages in their order, each once those that it reads are finished; trainings and the like run side by side, as many as there are jobs. What a stage makes does
/// not depend on that.
/// </summary>
/// <param name="jobs">Most stages at a time.</param>
/// <param name="run">Runs one stage.</param>
/// <param name="console">Told of a stage that fails while others go on.</param>
sealed class StageScheduler(int jobs, Func<PlannedStage, CancellationToken, Task<StageResult>> run, IRunObserver console)
{
    /// <summary>Runs all stages. Once one has failed no other starts; those that are running go on to their end, for their work is not in vain.</summary>
    /// <param name="stages">In an order in which each stands after those that it reads.</param>
    /// <param name="cancellationToken">Stops the running stages.</param>
    /// <returns>The results in the order of the stages.</returns>
    /// <remarks>Throws what the first stage to fail threw.</remarks>
    public async Task<IReadOnlyList<StageResult>> RunAsync(IReadOnlyList<PlannedStage> stages, CancellationToken cancellationToken)
    {
        var results = new Dictionary<string, StageResult>();
        var waiting = stages.ToList();
        var running = new Dictionary<Task<StageResult>, PlannedStage>();
        ExceptionDispatchInfo? failure = null;
        while (waiting.Count + running.Count > 0)
        {
            while (failure is null && !cancellationToken.IsCancellationRequested && Next(waiting, [.. running.Values]) is { } next)
            {
                waiting.Remove(next);
                running.Add(Start(next, cancellationToken), next);
            }

            if (running.Count == 0)
            {
                failure?.Throw();
                cancellationToken.ThrowIfCancellationRequested();
            }

            var ended = await Task.WhenAny(running.Keys);
            running.Remove(ended, out var stage);
            try
            {
                results.Add(stage!.Name, await ended);
            }
            catch (Exception exception)
            {
                Tell(stage!, exception, [.. running.Values], isFirst: failure is null, cancellationToken);
                failure ??= ExceptionDispatchInfo.Capture(exception);
            }
        }

        failure?.Throw();
        return [.. stages.Select(stage => results[stage.Name])];
    }

    Task<StageResult> Start(PlannedStage stage, CancellationToken cancellationToken) =>
        stage.Verb.RunsBesideOthers ? Task.Run(() => run(stage, cancellationToken), CancellationToken.None) : run(stage, cancellationToken);

    /// <summary>The next stage that can start; null where there is none for now.</summary>
    PlannedStage? Next(List<PlannedStage> waiting, List<PlannedStage> running)
    {
        if (running.Count == 0)
        {
            return waiting.FirstOrDefault();
        }

        var unfinished = waiting.Concat(running).Select(stage => stage.Name).ToHashSet();
        return running.Count < jobs && running.All(stage => stage.Verb.RunsBesideOthers)
            ? waiting.FirstOrDefault(stage => stage.Verb.RunsBesideOthers && !stage.DependsOn.Any(unfinished.Contains))
            : null;
    }

    /// <summary>The last of several failures need not be told here: it ends the run.</summary>
    void Tell(PlannedStage stage, Exception exception, List<PlannedStage> others, bool isFirst, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested || (isFirst && others.Count == 0))
        {
            return;
        }

        var goOn = others.Count == 0 ? "" : $"; {string.Join(", ", others.Select(other => other.Name))} {(others.Count == 1 ? "goes" : "go")} on to the end";
        console.Message($"{stage.Name}: failed: {exception.Message.ReplaceLineEndings(" ")}{goOn}");
    }
}
