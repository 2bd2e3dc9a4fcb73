using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Recipes;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Observation;

namespace TraceDistill.Cli.Commands;

/// <summary>All stages of a recipe.</summary>
sealed class RunVerb(IReadOnlyList<IVerb> stageVerbs) : Verb<RunOptions>
{
    const string DefaultRoot = "runs";

    public override string Name => "run";

    public override string Description => "Run all stages of a recipe, going on where an earlier run stopped";

    public override VerbOutput Output => VerbOutput.Optional;

    public override async Task<object> RunAsync(RunOptions options, StageContext context, CancellationToken cancellationToken)
    {
        string DirectoryOf(Recipe recipe) => Path.GetFullPath(context.Output ?? Path.Combine(DefaultRoot, recipe.Name));

        var overrides = options.Set.Select(pair => $"{pair.Key}={pair.Value}").ToList();
        string runDirectory = "";
        var plan = new Planner(stageVerbs).Plan(options.Recipe, overrides, recipe => runDirectory = DirectoryOf(recipe));
        var selected = Select(plan, options.Only);
        Print(plan, selected, runDirectory, context.Observer);
        if (options.Plan)
        {
            return new
            {
                RunDirectory = runDirectory,
                Stages = plan.Stages.Select(stage => new { Stage = stage.Name, Verb = stage.Verb.Name, stage.DependsOn, State = State(stage, runDirectory) }),
            };
        }

        using var directory = RunDirectory.Open(runDirectory);
        directory.Write("recipe.yaml", ResolvedRecipe.ToYaml(plan));
        var start = context.TimeProvider.GetTimestamp();
        var results = await new RecipeRunner(directory, context.Observer, context.TimeProvider).RunAsync(selected, cancellationToken);
        context.Observer.Message($"finished: {Path.GetRelativePath(Environment.CurrentDirectory, runDirectory)}");
        return new
        {
            RunDirectory = runDirectory,
            Seconds = Math.Round(context.TimeProvider.GetElapsedTime(start).TotalSeconds, 3),
            Stages = results,
        };
    }

    static IReadOnlyList<PlannedStage> Select(RunPlan plan, IReadOnlyList<string> only)
    {
        foreach (var unknown in only.Where(name => plan.Stages.All(stage => stage.Name != name && stage.Family != name)))
        {
            throw new InvalidInputException($"--only: no stage \"{unknown}\"; {NearestName.Suggestion(unknown, [.. plan.Stages.Select(stage => stage.Name)])}");
        }

        return only.Count == 0 ? plan.Stages : [.. plan.Stages.Where(stage => only.Contains(stage.Name) || only.Contains(stage.Family))];
    }

    static void Print(RunPlan plan, IReadOnlyList<PlannedStage> selected, string runDirectory, IRunObserver observer)
    {
        observer.Message($"{plan.Name}: {plan.Stages.Count} stages in {Path.GetRelativePath(Environment.CurrentDirectory, runDirectory)}");
        var nameWidth = plan.Stages.Max(stage => stage.Name.Length);
        var verbWidth = plan.Stages.Max(stage => stage.Verb.Name.Length);
        foreach (var stage in plan.Stages)
        {
            var reads = stage.DependsOn.Count == 0 ? "" : $"  reads {string.Join(", ", stage.DependsOn)}";
            var state = selected.Contains(stage) ? State(stage, runDirectory) : "left out";
            observer.Message($"  {stage.Name.PadRight(nameWidth)}  {stage.Verb.Name.PadRight(verbWidth)}  {state}{reads}");
        }
    }

    /// <summary>What lies in the run directory; whether a finished stage still holds is known once those before it have run.</summary>
    static string State(PlannedStage stage, string runDirectory)
    {
        var folder = new StageFolder(runDirectory, stage.Name);
        return (Directory.Exists(folder.Published), Directory.Exists(folder.Partial)) switch
        {
            (true, _) => "finished",
            (_, true) => "begun",
            _ => "to do",
        };
    }
}
