namespace TraceDistill.Cli.Recipes;

/// <summary>Progress of a stage, as its folders tell without running anything.</summary>
enum StageState
{
    ToDo,

    /// <summary>There is unfinished work; where the stage can resume and nothing has changed, it goes on from there.</summary>
    Begun,

    /// <summary>It is finished, and nothing that it depends on has changed.</summary>
    Finished,

    /// <summary>It was finished; its options or files from outside have changed since.</summary>
    Changed,

    /// <summary>It was finished; a stage that it reads will run, and what comes out decides.</summary>
    Waiting,
}

/// <summary>Finds the state of every stage of a plan.</summary>
static class StageStates
{
    /// <exception cref="StageFailure">Inputs of a stage cannot be read.</exception>
    public static IReadOnlyDictionary<string, StageState> Of(RunPlan plan, string runDirectory)
    {
        var states = new Dictionary<string, StageState>();
        foreach (var stage in plan.Stages)
        {
            try
            {
                states[stage.Name] = Of(stage, runDirectory, stage.DependsOn.All(name => states[name] == StageState.Finished));
            }
            catch (Exception exception)
            {
                throw new StageFailure(plan.Path, stage.Name, exception);
            }
        }

        return states;
    }

    static StageState Of(PlannedStage stage, string runDirectory, bool isReady)
    {
        var folder = new StageFolder(runDirectory, stage.Name);
        return StageManifest.Read(folder.Published) switch
        {
            _ when Directory.Exists(folder.Partial) => StageState.Begun,
            null => StageState.ToDo,
            _ when !isReady => StageState.Waiting,
            { IsUnfinished: true } => StageState.Begun,
            var last => last.IsCurrent(Fingerprint.Of(stage, InputRecords.Of(stage, runDirectory, last.Inputs)), folder.Published)
                ? StageState.Finished
                : StageState.Changed,
        };
    }
}
