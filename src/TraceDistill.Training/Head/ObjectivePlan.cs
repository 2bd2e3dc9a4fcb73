using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;

namespace TraceDistill.Training.Head;

/// <summary>The objectives of a training, and their weights at each step.</summary>
public sealed record ObjectivePlan
{
    /// <summary>The objectives, no two of a name.</summary>
    public required IReadOnlyList<Objective> Objectives { get; init; }

    /// <summary>
    /// α, from 0 to 1, by which all weights of soft and hard loss are multiplied: α for objectives that need soft targets, 1 − α for cross
    /// entropy, which counts whole at a token without them. Null where each objective's own weight is all.
    /// </summary>
    public Schedule? KdAlpha { get; init; }

    /// <summary>Layers that are exits; null for none.</summary>
    public EarlyExits? Exits { get; init; }

    /// <summary>Those of distributions.</summary>
    public IEnumerable<TokenObjective> OfTokens => Objectives.OfType<TokenObjective>();

    /// <summary>How soft targets are made of what the teacher says.</summary>
    public TargetPolicy Policy { get; init; } = new();

    /// <summary>The loss <c>α · (T² · KL + uld · L₁) + (1 − α) · CE + z · log² Z</c>; what has no weight is left out.</summary>
    /// <param name="alpha">α: the weight of the soft targets.</param>
    /// <param name="temperature">T.</param>
    /// <param name="missingMass">Treatment of the probability outside the top k.</param>
    /// <param name="uldWeight">Weight of <see cref="UniversalLogit"/> within the soft loss.</param>
    /// <param name="zLossWeight">z: weight of <see cref="ZLoss"/>, for all tokens.</param>
    public static ObjectivePlan Classic(
        Schedule alpha,
        Schedule temperature,
        MissingMass missingMass = MissingMass.TailBucket,
        double uldWeight = 0,
        double zLossWeight = 0
    )
    {
        var objectives = new List<Objective> { new CrossEntropy() };
        if (alpha.Range.High > 0)
        {
            objectives.Add(new KlForward { Temperature = temperature });
            objectives.AddRange(uldWeight > 0 ? [new UniversalLogit { Weight = Schedule.Constant(uldWeight) }] : []);
        }

        objectives.AddRange(zLossWeight > 0 ? [new ZLoss { Weight = Schedule.Constant(zLossWeight) }] : []);
        return new ObjectivePlan
        {
            Objectives = objectives,
            KdAlpha = alpha,
            Policy = new TargetPolicy { MissingMass = missingMass },
        };
    }

    /// <inheritdoc cref="Classic(Schedule, Schedule, MissingMass, double, double)"/>
    public static ObjectivePlan Classic(
        double alpha,
        double temperature,
        MissingMass missingMass = MissingMass.TailBucket,
        double uldWeight = 0,
        double zLossWeight = 0
    ) => Classic(Schedule.Constant(alpha), Schedule.Constant(temperature), missingMass, uldWeight, zLossWeight);

    /// <summary>Cross entropy alone, and <see cref="ZLoss"/> where it has a weight.</summary>
    public static ObjectivePlan HardLoss(double zLossWeight = 0) => Classic(0, 1, zLossWeight: zLossWeight);

    const string Alpha = "kd_alpha";

    /// <summary>Steps from one measurement of gradients to the next, where their balance decides α, and how slowly α follows.</summary>
    const int BalanceSteps = 10;
    const double BalanceDecay = 0.9;

    bool IsBalanced => KdAlpha is { Kind: ScheduleKind.GradientBalance };

    /// <summary>Names of the numbers that are adapted from step to step.</summary>
    public IReadOnlyList<string> Adapts =>
        [.. Objectives.SelectMany(objective => objective.Adapts), .. IsBalanced ? [Alpha] : Array.Empty<string>()];

    /// <summary>True where what is adapted needs a step's <see cref="StepDiagnostics"/>.</summary>
    public bool Measures(long step) => IsBalanced && step % BalanceSteps == 0;

    /// <summary>Lets all that adapts see how a step went.</summary>
    public void Adapt(AdaptiveState state, LossTotals totals, TrainingPoint at)
    {
        foreach (var objective in Objectives.Where(objective => objective.Adapts.Count > 0))
        {
            if (totals.Terms.FirstOrDefault(term => term.Name == objective.ShortName) is { Tokens: > 0 } term)
            {
                objective.Adapt(state, term.Sum / term.Tokens, at);
            }
        }

        if (Measures(at.Step) && totals.Measured is { } measured)
        {
            var terms = At(at).Terms;
            var (soft, hard) = (
                Math.Sqrt(measured.Product(terms, OwnWeight(true), OwnWeight(true))),
                Math.Sqrt(measured.Product(terms, OwnWeight(false), OwnWeight(false)))
            );
            var alpha = soft + hard > 0 ? hard / (soft + hard) : KdAlpha!.First;
            state.Set(Alpha, (BalanceDecay * state.Get(Alpha, KdAlpha!.First)) + ((1 - BalanceDecay) * alpha));
        }

        Func<ObjectiveTerm, double> OwnWeight(bool isSoft) =>
            term =>
                term.Objective.NeedsSoftTargets == isSoft && (isSoft || term.Objective is CrossEntropy)
                    ? term.Objective.Weight.ValueAt(at)
                    : 0;
    }

    double? AlphaAt(TrainingPoint at) => IsBalanced ? at.Learned?.Get(Alpha, KdAlpha!.First) ?? KdAlpha!.First : KdAlpha?.ValueAt(at);

    /// <summary>The loss of a step; what has no weight at it is left out.</summary>
    public StepObjectives At(TrainingPoint at)
    {
        // A token without soft targets counts as much as the others: the hard loss takes what the soft ones have.
        var soft = KdAlpha is null ? OfTokens.Where(objective => objective.NeedsSoftTargets).Sum(Weight) : 0;
        var alpha = AlphaAt(at);
        return new StepObjectives([.. OfTokens.Select(Term).Where(term => term.Weight != 0 || term.SoftWeight != 0)], Policy, at)
        {
            Alpha = alpha,
            States =
            [
                .. Objectives
                    .OfType<StateObjective>()
                    .Select(objective => new StateTerm(objective, Weight(objective)))
                    .Where(term => term.Weight != 0),
            ],
            Exits = Exits is null ? null : new StepExits(Exits.Layers, new ObjectivePlan { Objectives = Exits.Objectives(at) }.At(at)),
        };

        double Weight(Objective objective) => objective.Weight.ValueAt(at);

        ObjectiveTerm Term(TokenObjective objective)
        {
            var weight = Weight(objective);
            return objective switch
            {
                CrossEntropy => new ObjectiveTerm(objective, weight + soft, weight * (1 - (alpha ?? 0))),
                { NeedsSoftTargets: true } => new ObjectiveTerm(objective, 0, weight * (alpha ?? 1)),
                _ => new ObjectiveTerm(objective, weight, weight),
            };
        }
    }

    /// <summary>Share of the soft targets in the weights of soft and hard loss; α, where there is one.</summary>
    public double SoftShareAt(TrainingPoint at)
    {
        if (AlphaAt(at) is { } alpha)
        {
            return alpha;
        }

        double Sum(Func<TokenObjective, bool> counts) => OfTokens.Where(counts).Sum(objective => objective.Weight.ValueAt(at));
        var (soft, hard) = (Sum(objective => objective.NeedsSoftTargets), Sum(objective => objective is CrossEntropy));
        return soft + hard > 0 ? soft / (soft + hard) : 0;
    }

    /// <summary>Returns whether a weight, of an objective or of all soft ones, is another one at a later step.</summary>
    /// <param name="at">The step.</param>
    public bool ChangesAfter(TrainingPoint at) =>
        IsBalanced
        || Objectives
            .Select(objective => objective.Weight)
            .Append(KdAlpha)
            .Append(Exits?.Weight)
            .OfType<Schedule>()
            .Any(weight => weight.ValueAt(at.Steps - 1, at.Steps) != weight.ValueAt(at));

    /// <summary>
    /// Returns whether a weight or a temperature jumps at a step, as a step schedule has it: losses before it say nothing of those from it
    /// on. A course that goes on from step to step does not jump.
    /// </summary>
    /// <param name="step">Counted from 0.</param>
    /// <param name="steps">Of the whole training.</param>
    public bool JumpsAt(long step, long steps)
    {
        return step > 1 && Schedules().Where(schedule => schedule.IsOverSteps).Any(Jumps);

        bool Jumps(Schedule schedule)
        {
            var before = schedule.ValueAt(step - 1, steps);
            return schedule.ValueAt(step, steps) != before && schedule.ValueAt(step - 2, steps) == before;
        }
    }

    IEnumerable<Schedule> Schedules()
    {
        var weights = Objectives.Select(objective => objective.Weight);
        var temperatures = Objectives.OfType<Divergence>().Select(divergence => divergence.Temperature);
        return weights.Concat(temperatures.Append(KdAlpha).Append(Exits?.Weight).OfType<Schedule>());
    }
}
