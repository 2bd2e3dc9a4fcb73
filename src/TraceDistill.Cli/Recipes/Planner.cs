using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Stages;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// Works out what a recipe comes to. Everything that can be wrong before the first stage starts is found here, all of it at once.
/// </summary>
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
        string[] names = [.. recipe.Stages.Select(stage => stage.Name)];
        var copies = new LikeResolver(recipe.Stages, problems)
            .Resolve()
            .SelectMany(stage => MatrixExpander.Expand(stage, names, problems))
            .Take(MatrixExpander.MostCopies + 1)
            .ToList();
        if (copies.Count > MatrixExpander.MostCopies)
        {
            throw new InvalidInputException(
                $"{recipePath}: comes to more than {MatrixExpander.MostCopies:N0} stages; give shorter matrices, or several recipes"
            );
        }

        var resolver = new InputResolver(copies, recipePath, problems);
        foreach (var twice in copies.GroupBy(copy => copy.Name).Where(same => same.Count() > 1))
        {
            problems.Add(
                twice.First().Location,
                twice.First().Family,
                $"two copies of the matrix would share the folder {twice.Key}; give values that differ in letters, digits, . - or _"
            );
        }

        var stages = copies
            .Select((copy, index) => Plan(copy, copies.Take(index), recipe, resolver, problems, runDirectory(recipe)))
            .OfType<PlannedStage>()
            .ToList();
        foreach (var stage in stages)
        {
            CheckOutputs(stage, stages, problems);
        }

        problems.ThrowIfAny(recipePath);
        return new RunPlan(recipe.Name, recipe.Path, recipe.Jobs, InOrder(stages, recipePath));
    }

    PlannedStage? Plan(
        StageCopy copy,
        IEnumerable<StageCopy> before,
        Recipe recipe,
        InputResolver resolver,
        ProblemList problems,
        string runDirectory
    )
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

        foreach (var entry in settings.Entries.Where(entry => verb.CommandLineOnly.Contains(entry.Key)))
        {
            problems.Add(
                entry.Location,
                $"{copy.Family}.{entry.Key}",
                $"belongs to the command line, where it ends before everything is there; use it in {verb.Name}, outside of a recipe"
            );
        }

        var inputs = new List<StageInput>();
        settings = resolver.Resolve(copy, schema, settings, inputs);
        var arguments = Located(settings, schema, inputs, runDirectory);
        var options = new OptionBinder(problems).BindRecord(verb.OptionsType, arguments, copy.Family);
        return options is null
            ? null
            : new PlannedStage
            {
                Name = copy.Name,
                Family = copy.Family,
                Verb = verb,
                Settings = settings,
                Arguments = arguments,
                Options = options,
                Inputs =
                [
                    .. inputs,
                    .. verb.ImplicitInputs(options).Select(path => new StageInput("", null, Path.GetFullPath(path), copy.Location)),
                ],
                DependsOn =
                [
                    .. inputs
                        .Select(input => input.Stage)
                        .OfType<string>()
                        .Concat(verb.ReadsWholeRun ? before.Select(stage => stage.Name) : [])
                        .Distinct(),
                ],
            };
    }

    /// <summary>A misspelt file of another stage is reported at once, not when that stage has run for an hour.</summary>
    static void CheckOutputs(PlannedStage reader, List<PlannedStage> stages, ProblemList problems)
    {
        foreach (var input in reader.Inputs.Where(input => input.Stage is not null && input.Path.Length > 0))
        {
            var name = input.Path.Split('/')[0];
            if (
                stages.FirstOrDefault(stage => stage.Name == input.Stage) is { } maker
                && maker.Verb.OutputNames(maker.Options) is { } names
                && !names.Contains(name)
            )
            {
                problems.Add(
                    input.Location,
                    $"{reader.Family}.{input.Key}",
                    $"the stage \"{maker.Family}\" makes no \"{name}\"; {NearestName.Suggestion(name, names)}"
                );
            }
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
                node?.Origin ?? copy.Location,
                $"{copy.Family}.do",
                node is null
                    ? $"is required: one of {string.Join(", ", names)}"
                    : $"unknown verb {TypeWords.Of(node)}; {NearestName.Suggestion((node as ConfigScalar)?.Text ?? "", names)}"
            );
        }

        return verb;
    }

    /// <summary>The settings with every reference to a stage's output replaced by its full path.</summary>
    static ConfigMap Located(ConfigMap settings, OptionSchema schema, IReadOnlyList<StageInput> inputs, string runDirectory)
    {
        return LocateAll(settings, schema);

        ConfigMap LocateAll(ConfigMap map, OptionSchema schema) =>
            map with
            {
                Entries =
                [
                    .. map.Entries.Select(entry =>
                        schema[entry.Key] is not { } property ? entry
                        : property.IsInputPath(map) ? entry with { Value = Locate(entry.Value, OptionShape.ListItem(property.Type)) }
                        : entry.Value is ConfigMap inner && OptionShape.IsRecord(property.Type)
                            ? entry with
                            {
                                Value = LocateAll(inner, OptionSchema.Of(property.Type)),
                            }
                        : entry.Value is ConfigMap named && OptionShape.DictionaryRecord(property.Type) is { } type
                            ? entry with
                            {
                                Value = named with
                                {
                                    Entries = [.. named.Entries.Select(item => item with { Value = Locate(item.Value, type) })],
                                },
                            }
                        : entry
                    ),
                ],
            };

        ConfigNode Locate(ConfigNode node, Type? item) =>
            node switch
            {
                ConfigScalar scalar when inputs.FirstOrDefault(input => input.Reference == scalar.Text) is { } input => scalar with
                {
                    Text = input.Locate(runDirectory),
                },
                ConfigList list => list with { Items = [.. list.Items.Select(node => Locate(node, item))] },
                ConfigMap map when item is not null => LocateAll(map, OptionSchema.Of(item)),
                ConfigMap map => map with { Entries = [.. map.Entries.Select(entry => entry with { Value = Locate(entry.Value, item) })] },
                _ => node,
            };
    }

    /// <summary>Dependencies first; stages that do not depend on each other in the order written.</summary>
    static List<PlannedStage> InOrder(List<PlannedStage> stages, string recipePath)
    {
        var ordered = new List<PlannedStage>();
        var done = new HashSet<string>();
        while (ordered.Count < stages.Count)
        {
            var next = stages.FirstOrDefault(stage => !done.Contains(stage.Name) && stage.DependsOn.All(done.Contains))
                ?? throw new InvalidInputException(
                    $"{recipePath}: stages wait for each other: {string.Join(", ", Circle([.. stages.Except(ordered)]))}"
                );
            ordered.Add(next);
            done.Add(next.Name);
        }

        return ordered;
    }

    /// <summary>Follows what a stage that can never start waits for until it comes round, and tells the way.</summary>
    static IEnumerable<string> Circle(List<PlannedStage> stuck)
    {
        var way = new List<PlannedStage> { stuck[0] };
        while (way.IndexOf(way[^1]) == way.Count - 1)
        {
            way.Add(stuck.First(stage => way[^1].DependsOn.Contains(stage.Name)));
        }

        return way[way.IndexOf(way[^1])..].Zip(way[(way.IndexOf(way[^1]) + 1)..], (reader, maker) => $"{reader.Name} reads {maker.Name}");
    }
}
