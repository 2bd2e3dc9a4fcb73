using System.Globalization;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>One pair of models that were trained alike but for what is compared.</summary>
/// <param name="Condition">The matrix values they share, the seed apart.</param>
/// <param name="Seed">The seed they share; empty where seeds do not vary.</param>
/// <param name="First">Figure of the first model, such as its accuracy.</param>
/// <param name="Second">The same of the second model.</param>
/// <param name="IsOfSoftTargets">True where the two differ in nothing but soft targets, which the first had.</param>
sealed record AblationPair(string Condition, string Seed, double First, double Second, bool IsOfSoftTargets)
{
    public double Difference => First - Second;
}

/// <summary>The pairs of one condition.</summary>
sealed record AblationCondition(string Name, IReadOnlyList<AblationPair> Pairs)
{
    public double First { get; } = Pairs.Average(pair => pair.First);

    public double Second { get; } = Pairs.Average(pair => pair.Second);

    /// <summary>Mean difference with its t interval over seeds.</summary>
    public MeanOverSeeds Difference { get; } = MeanOverSeeds.Of([.. Pairs.Select(pair => pair.Difference)]);
}

/// <summary>Two stages that a recipe repeats over the same matrix, compared copy by copy.</summary>
sealed record Ablation(string First, string Second, int FirstColor, int SecondColor, IReadOnlyList<AblationCondition> Conditions)
{
    const string SeedKey = "seed";

    /// <summary>With fewer seeds an interval over them is wide, and rests on the differences being normally distributed.</summary>
    public const int EnoughSeeds = 8;

    public IReadOnlyList<AblationPair> Pairs { get; } = [.. Conditions.SelectMany(condition => condition.Pairs)];

    /// <summary>Number of seeds; 1 where they do not vary.</summary>
    public int Seeds => Pairs.Select(pair => pair.Seed).Distinct().Count();

    /// <summary>True where it tells what soft targets are worth.</summary>
    public bool IsOfSoftTargets => Pairs.All(pair => pair.IsOfSoftTargets);

    /// <summary>Mean difference with its t interval over seeds.</summary>
    public MeanOverSeeds Overall => MeanOverSeeds.Of(BySeed);

    /// <summary>Mean of the first family's own figures with its t interval over seeds.</summary>
    public MeanOverSeeds OverallFirst =>
        MeanOverSeeds.Of([.. Pairs.GroupBy(pair => pair.Seed).Select(pairs => pairs.Average(pair => pair.First))]);

    /// <summary>Exact sign-flip p value over seeds; null for a single one, which says nothing about spread.</summary>
    public double? SignFlip => BySeed.Length > 1 ? SignFlipTest.PValue(BySeed) : null;

    /// <summary>
    /// Each seed's mean over the conditions. Pairs of one seed begin with the same weights, so they
    /// are no repetitions of each other: counted one by one they would make the interval too narrow.
    /// </summary>
    public double[] BySeed => [.. Pairs.GroupBy(pair => pair.Seed).Select(pairs => pairs.Average(pair => pair.Difference))];

    /// <summary>All pairs of families whose copies were evaluated; none where no matrix repeats a training.</summary>
    public static IReadOnlyList<Ablation> Find(RunFacts run)
    {
        var families = Families(run.Evaluations.SelectMany(evaluation => evaluation.Models));
        return
        [
            .. from first in Enumerable.Range(0, families.Count)
            from second in Enumerable.Range(first + 1, families.Count - first - 1)
            select Compare(run, families[first], families[second], model => model.Scores.Accuracy) into ablation
            where ablation.Pairs.Count > 0
            select ablation,
        ];
    }

    /// <summary>Trained models that a matrix repeats, those of one stage of the recipe together.</summary>
    public static IReadOnlyList<IReadOnlyList<ModelFacts>> Families(IEnumerable<ModelFacts> models) =>
        [
            .. models
                .Where(model => model.IsResult && model.Stage!.Copy.Length > 0)
                .DistinctBy(model => model.Stage!.Name)
                .GroupBy(model => model.Stage!.Family)
                .Select(IReadOnlyList<ModelFacts> (copies) => [.. copies]),
        ];

    /// <summary>Pairs the copies of two families.</summary>
    /// <param name="figure">The figure that is compared.</param>
    public static Ablation Compare(
        RunFacts run,
        IReadOnlyList<ModelFacts> first,
        IReadOnlyList<ModelFacts> second,
        Func<ModelFacts, double> figure
    )
    {
        var settings = first.ToDictionary(model => model, model => Effective(run, model.Stage!));
        var axes = settings
            .Values.SelectMany(values => values.Keys)
            .Distinct()
            .Where(key => settings.Values.Select(values => values.GetValueOrDefault(key)).Distinct().Count() > 1)
            .ToLookup(key => key.Split('.')[^1] == SeedKey);
        var conditions = first
            .Join(
                second,
                model => model.Stage!.Copy,
                model => model.Stage!.Copy,
                (a, b) =>
                    new AblationPair(
                        Describe(axes[false], settings[a]),
                        string.Join(", ", axes[true].Select(key => settings[a].GetValueOrDefault(key)).Distinct()),
                        figure(a),
                        figure(b),
                        a.Stage!.AddsSoftTargetsTo(b.Stage!)
                    )
            )
            .GroupBy(pair => pair.Condition)
            .Select(pairs => new AblationCondition(pairs.Key, [.. pairs]))
            .OrderBy(condition => NumberIn(condition.Name));
        return new Ablation(first[0].Stage!.Family, second[0].Stage!.Family, first[0].Color, second[0].Color, [.. conditions]);
    }

    /// <summary>The stage's own settings and those of the copies that it reads: a data size may be set where the data are made.</summary>
    static Dictionary<string, string> Effective(RunFacts run, StageFacts stage)
    {
        var effective = new Dictionary<string, string>();
        foreach (var (key, value) in stage.Settings)
        {
            var name = value.Split('/')[0];
            if (run.Stages.FirstOrDefault(other => other.Name == name && other.Copy.Length > 0 && other != stage) is not { } source)
            {
                effective[key] = value;
                continue;
            }

            foreach (var (sourceKey, sourceValue) in Effective(run, source))
            {
                effective[$"{source.Family}.{sourceKey}"] = sourceValue;
            }
        }

        return effective;
    }

    static string Describe(IEnumerable<string> keys, Dictionary<string, string> settings) =>
        string.Join(", ", keys.Select(key => $"{key.Split('.')[^1].Replace('_', ' ')} {settings.GetValueOrDefault(key)}").Distinct());

    static double NumberIn(string name) =>
        name.Split(' ')
            .Select(word => double.TryParse(word.TrimEnd(','), CultureInfo.InvariantCulture, out var number) ? number : (double?)null)
            .FirstOrDefault(number => number is not null)
        ?? 0;
}
