using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Commands;
using TraceDistill.Core.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Works out what a recipe comes to. Everything that can be wrong before the first stage starts is found here, all of it at once.</summary>
sealed class Planner(IReadOnlyList<IVerb> verbs)
{
    const string SeedKey = "seed";

    /// <param name="overrides">See <see cref="RecipeReader"/>.</param>
    /// <param name="runDirectory">Where the stages' folders will lie.</param>
    /// <exception cref="InvalidInputException">The recipe is wrong; the message lists all problems.</exception>
    public RunPlan Plan(string recipePath, IReadOnlyList<string> overrides, Func<Recipe, string> runDirectory)
    {
        var problems = new ProblemList();
        var recipe = RecipeReader.Read(recipePath, overrides, problems);
        var copies = new LikeResolver(recipe.Stages, problems).Resolve().SelectMany(stage => MatrixExpander.Expand(stage, problems)).ToList();
        var resolver = new InputResolver(copies, recipePath, problems);
        var stages = copies.Select((copy, index) => Plan(copy, copies.Take(index), recipe, resolver, problems, runDirectory(recipe))).OfType<PlannedStage>().ToList();
        problems.ThrowIfAny(recipePath);
        return new RunPlan(recipe.Name, InOrder(stages, recipePath));
    }

    PlannedStage? Plan(StageCopy copy, IEnumerable<StageCopy> before, Recipe recipe, InputResolver resolver, ProblemList problems, string runDirectory)
    {
        if (FindVerb(copy, problems) is not { } verb)
        {
            return null;
        }

        var schema = OptionSchema.Of(verb.OptionsType);
        var settings = copy.Settings.Without(StageDefinition.VerbKey);
        if (recipe.Seed is { } seed && schema[SeedKey] is not null && settings[SeedKey] is null)
        {
            settings = settings.MergedWith(new ConfigMap(seed.Location, [new ConfigEntry(SeedKey, seed.Location, seed)]));
        }

        var inputs = new List<StageInput>();
        settings = resolver.Resolve(copy, schema, settings, inputs);
        var options = new OptionBinder(problems).BindRecord(verb.OptionsType, Located(settings, schema, inputs, runDirectory), copy.Name);
        return options is null ? null : new PlannedStage
        {
            Name = copy.Name,
            Family = copy.Family,
            Verb = verb,
            Settings = settings,
            Options = options,
            Inputs = [.. inputs, .. ImplicitInputs(verb, options, copy, problems)],
            DependsOn = [.. inputs.Select(input => input.Stage).OfType<string>().Concat(verb.ReadsWholeRun ? before.Select(stage => stage.Name) : []).Distinct()],
        };
    }

    static IEnumerable<StageInput> ImplicitInputs(IVerb verb, object options, StageCopy copy, ProblemList problems)
    {
        try
        {
            return [.. verb.ImplicitInputs(options).Select(path => new StageInput("", null, Path.GetFullPath(path)))];
        }
        catch (InvalidInputException exception)
        {
            problems.Add(copy.Location, copy.Name, exception.Message);
            return [];
        }
    }

    IVerb? FindVerb(StageCopy copy, ProblemList problems)
    {
        var known = verbs.Where(verb => verb.Output != VerbOutput.None).ToList();
        var node = copy.Settings[StageDefinition.VerbKey];
        var verb = known.FirstOrDefault(verb => verb.Name == (node as ConfigScalar)?.Text);
        if (verb is null)
        {
            var names = known.Select(known => known.Name).ToList();
            problems.Add(
                node?.Location ?? copy.Location,
                $"{copy.Family}.do",
                node is null ? $"is required: one of {string.Join(", ", names)}" : $"unknown verb {TypeWords.Of(node)}; {NearestName.Suggestion((node as ConfigScalar)?.Text ?? "", names)}");
        }

        return verb;
    }

    /// <summary>The settings with every reference to a stage's output replaced by its full path.</summary>
    static ConfigMap Located(ConfigMap settings, OptionSchema schema, IReadOnlyList<StageInput> inputs, string runDirectory)
    {
        return settings with
        {
            Entries = [.. settings.Entries.Select(entry => schema[entry.Key] is { IsInputPath: true } ? entry with { Value = Locate(entry.Value) } : entry)],
        };

        ConfigNode Locate(ConfigNode node) => node switch
        {
            ConfigScalar scalar when inputs.FirstOrDefault(input => input.Reference == scalar.Text) is { } input => scalar with { Text = input.Locate(runDirectory) },
            ConfigList list => list with { Items = [.. list.Items.Select(Locate)] },
            ConfigMap map => map with { Entries = [.. map.Entries.Select(entry => entry with { Value = Locate(entry.Value) })] },
            _ => node,
        };
    }

    /// <summary>Dependencies first; stages that do not depend on each other in the order written.</summary>
    static List<PlannedStage> InOrder(List<PlannedStage> stages, string recipePath)
    {
        var ordered = new List<PlannedStage>();
        while (ordered.Count < stages.Count)
        {
            var next = stages.FirstOrDefault(stage => !ordered.Contains(stage) && stage.DependsOn.All(name => ordered.Any(done => done.Name == name)))
                ?? throw new InvalidInputException(
                    $"{recipePath}: these stages wait for each other: {string.Join(", ", stages.Except(ordered).Select(stage => stage.Name))}");
            ordered.Add(next);
        }

        return ordered;
    }
}
