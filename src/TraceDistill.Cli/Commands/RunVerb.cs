using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Reporting;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Commands;

/// <summary>All stages of a recipe.</summary>
/// <param name="stageVerbs">The verbs that can be stages.</param>
/// <param name="host">Where stages run that run beside others.</param>
sealed class RunVerb(IReadOnlyList<IVerb> stageVerbs, IStageHost host) : Verb<RunOptions>
{
    /// <summary>Where runs lie that were not told where to write.</summary>
    public const string DefaultRoot = "runs";

    public override string Name => "run";

    public override string Description => "Run all stages of a recipe, going on where an earlier run stopped";

    public override VerbOutput Output => VerbOutput.Optional;

    public override bool LocksOutput => true;

    public override bool SendsKeys => true;

    public override async Task<object> RunAsync(RunOptions options, StageContext context, CancellationToken cancellationToken)
    {
        string DirectoryOf(Recipe recipe) => Path.GetFullPath(context.Output ?? Path.Combine(DefaultRoot, recipe.Name));

        var overrides = options.Set.Select(pair => $"{pair.Key}={pair.Value}").ToList();
        string runDirectory = "";
        var plan = new Planner(stageVerbs).Plan(options.Recipe, overrides, recipe => runDirectory = DirectoryOf(recipe));
        var selected = Select(plan, options.Only);
        var states = StageStates.Of(plan, runDirectory);
        var remarks = await RemarksAsync(selected, states, runDirectory, options.Discard, cancellationToken);
        var jobs = JobsOf(options, plan);
        var sideBySide = jobs == 1 ? [] : StageScheduler.GroupsOf([.. selected.Where(stage => states[stage.Name] != StageState.Finished)]);
        Print(plan, selected, states, remarks, runDirectory, context);
        foreach (var group in sideBySide)
        {
            var limit = group.Count > jobs ? $", {jobs} of them" : "";
            context.Observer.Message($"  at the same time{limit}: {Families([.. group.Select(stage => stage.Name)], plan)}");
        }

        var foreseen = await ForeseeAsync(plan, selected, states, runDirectory, cancellationToken);
        foreach (var one in foreseen.Where(one => !one.Told.IsCertain))
        {
            context.Observer.Message($"  {NamesOf(one.Stages, plan)}: {one.Told.Text}");
        }

        var failures = foreseen
            .Where(one => one.Told.IsCertain)
            .Select(one => $"{plan.Path}: {NamesOf(one.Stages, plan)}: {one.Told.Text}")
            .ToList();
        if (failures.Count > 0)
        {
            throw new InvalidInputException(string.Join("\n", failures));
        }

        if (options.Plan)
        {
            return new
            {
                RunDirectory = runDirectory,
                Jobs = jobs,
                SideBySide = sideBySide.Select(group => group.Select(stage => stage.Name)),
                Stages = plan.Stages.Select(stage => new
                {
                    Stage = stage.Name,
                    Verb = stage.Verb.Name,
                    stage.DependsOn,
                    State = states[stage.Name],
                    Remark = remarks.GetValueOrDefault(stage.Name),
                    Foreseen = foreseen.Where(one => one.Stages.Contains(stage)).Select(one => one.Told.Text),
                    Keys = KeysOf(stage).Select(use => use.ToString()),
                }),
            };
        }

        context.Keys!.Require(selected.SelectMany(StrangersKeysOf));

        using var directory = RunDirectory.Open(runDirectory);
        directory.Write(RunDirectory.RecipeFile, ResolvedRecipe.ToYaml(plan));
        var start = context.TimeProvider.GetTimestamp();
        var results = await new RecipeRunner(directory, plan.Path, host, context.Observer, context.TimeProvider, options.Discard).RunAsync(
            selected,
            jobs,
            stage => states[stage.Name] == StageState.Finished,
            cancellationToken
        );
        var result = selected.Any(stage => stage.Verb.RunDirectoryFiles.Contains(ReportPage.FileName))
            ? Path.Combine(runDirectory, ReportPage.FileName)
            : runDirectory;
        context.Observer.Message($"finished: {Shown(result)}");
        return new
        {
            RunDirectory = runDirectory,
            Seconds = Math.Round(context.TimeProvider.GetElapsedTime(start).TotalSeconds, 3),
            Stages = results,
        };
    }

    /// <summary>More trainings than cores take more memory and no less time, which a recipe cannot know.</summary>
    static int JobsOf(RunOptions options, RunPlan plan)
    {
        var cores = Environment.ProcessorCount;
        return options.Jobs?.On(cores) ?? Math.Min((plan.Jobs ?? JobLimit.Auto).On(cores), cores);
    }

    static IReadOnlyList<PlannedStage> Select(RunPlan plan, IReadOnlyList<string> only)
    {
        foreach (var unknown in only.Where(name => plan.Stages.All(stage => stage.Name != name && stage.Family != name)))
        {
            throw new InvalidInputException(
                $"--only: no stage \"{unknown}\"; {NearestName.Suggestion(unknown, [.. plan.Stages.Select(stage => stage.Name)])}"
            );
        }

        return only.Count == 0 ? plan.Stages : [.. plan.Stages.Where(stage => only.Contains(stage.Name) || only.Contains(stage.Family))];
    }

    /// <summary>Remarks on what stages with work from before would do with it.</summary>
    static async Task<IReadOnlyDictionary<string, string>> RemarksAsync(
        IReadOnlyList<PlannedStage> selected,
        IReadOnlyDictionary<string, StageState> states,
        string runDirectory,
        bool isDiscarded,
        CancellationToken cancellationToken
    )
    {
        var remarks = new Dictionary<string, string>();
        foreach (var stage in selected.Where(stage => states[stage.Name] is StageState.Begun or StageState.Changed))
        {
            var folder = new StageFolder(runDirectory, stage.Name);
            var there = Directory.Exists(folder.Partial) ? folder.Partial : folder.Published;
            if (await stage.Verb.PreviewAsync(stage.Options, there, isDiscarded, cancellationToken) is { } remark)
            {
                remarks[stage.Name] = remark;
            }
        }

        return remarks;
    }

    /// <summary>Problems ahead of stages that are to run, each with all the stages that have it.</summary>
    static async Task<IReadOnlyList<(List<PlannedStage> Stages, Foreseen Told)>> ForeseeAsync(
        RunPlan plan,
        IReadOnlyList<PlannedStage> selected,
        IReadOnlyDictionary<string, StageState> states,
        string runDirectory,
        CancellationToken cancellationToken
    )
    {
        var ahead = new Foresight([
            .. plan.Stages.Select(stage => new StageAhead(
                NamesOf(CopiesOf(stage, plan), plan),
                stage.Options,
                Path.Combine(runDirectory, stage.Name),
                states[stage.Name] == StageState.Finished
            )),
        ]);
        var found = new List<(PlannedStage Stage, Foreseen Told)>();
        foreach (var stage in selected.Where(stage => states[stage.Name] != StageState.Finished))
        {
            found.AddRange(
                await stage
                    .Verb.ForeseeAsync(stage.Options, ahead, cancellationToken)
                    .Select(told => (stage, told))
                    .ToListAsync(cancellationToken)
            );
        }

        return [.. found.GroupBy(one => one.Told, one => one.Stage).Select(same => (same.ToList(), same.Key))];
    }

    static List<PlannedStage> CopiesOf(PlannedStage stage, RunPlan plan) => [.. plan.Stages.Where(other => other.Family == stage.Family)];

    /// <summary>Stages by name; all copies of a matrix by the name they share.</summary>
    static string NamesOf(List<PlannedStage> stages, RunPlan plan) =>
        ShortList.Of(
            stages
                .GroupBy(stage => stage.Family)
                .SelectMany(copies =>
                    copies.Count() == CopiesOf(copies.First(), plan).Count && copies.Count() > 1
                        ? [copies.Key]
                        : copies.Select(copy => copy.Name)
                )
        );

    static IEnumerable<KeyUse> KeysOf(PlannedStage stage) => stage.Verb.KeyUses(stage.Options);

    /// <summary>Those that the recipe has a part in: <c>--set</c> may give both the key and the address.</summary>
    static IEnumerable<KeyUse> StrangersKeysOf(PlannedStage stage) => KeyUse.IsOwn(stage.Settings) ? [] : KeysOf(stage);

    static void Print(
        RunPlan plan,
        IReadOnlyList<PlannedStage> selected,
        IReadOnlyDictionary<string, StageState> states,
        IReadOnlyDictionary<string, string> remarks,
        string runDirectory,
        StageContext context
    )
    {
        var observer = context.Observer;
        observer.Message($"{plan.Name}: {plan.Stages.Count} {(plan.Stages.Count == 1 ? "stage" : "stages")} in {Shown(runDirectory)}");
        var nameWidth = plan.Stages.Max(stage => stage.Name.Length);
        var verbWidth = plan.Stages.Max(stage => stage.Verb.Name.Length);
        foreach (var stage in plan.Stages)
        {
            var reads =
                stage.DependsOn.Count == 0
                    ? ""
                    : $"  reads {(stage.Verb.ReadsWholeRun ? "all before it" : Families(stage.DependsOn, plan))}";
            var state = selected.Contains(stage) ? EnumNames.Of(states[stage.Name]).Replace('_', ' ') : "left out";
            var remark = remarks.TryGetValue(stage.Name, out var told) ? $"  ({told})" : "";
            observer.Message($"  {stage.Name.PadRight(nameWidth)}  {stage.Verb.Name.PadRight(verbWidth)}  {state}{reads}{remark}");
            foreach (var use in KeysOf(stage))
            {
                var isRefused = StrangersKeysOf(stage).Contains(use) && !context.Keys!.Allows(use);
                observer.Message(
                    $"  {"".PadRight(nameWidth)}  {use}{(isRefused ? $" (not allowed yet: add {KeyPermissions.OptionFor(use)})" : "")}"
                );
            }
        }
    }

    /// <summary>A path as it is shortest to read: from the current directory where it lies in it.</summary>
    static string Shown(string path) =>
        Path.GetRelativePath(Environment.CurrentDirectory, path) is var relative && relative.StartsWith("..", StringComparison.Ordinal)
            ? path
            : relative;

    /// <summary>Copies of a matrix by the name they share, where there are several.</summary>
    static string Families(IReadOnlyList<string> names, RunPlan plan) =>
        string.Join(
            ", ",
            plan.Stages.Where(stage => names.Contains(stage.Name))
                .GroupBy(stage => stage.Family)
                .Select(copies => copies.Count() == 1 ? copies.First().Name : $"{copies.Key} ({copies.Count()})")
        );
}
