namespace TraceDistill.Training.Head;

/// <summary>Sums over trained tokens in float64; divide by <see cref="Tokens"/> once, over the whole global batch.</summary>
/// <param name="Loss">The loss that is minimised.</param>
/// <param name="Terms">Each objective by itself, without its weight.</param>
/// <param name="Tokens">Trained tokens.</param>
/// <param name="SoftTokens">Those of them that have soft targets, where an objective takes them.</param>
public sealed record LossTotals(double Loss, IReadOnlyList<TermTotal> Terms, long Tokens, long SoftTokens)
{
    /// <summary>Further figures of the step; null where they were not asked for.</summary>
    public StepDiagnostics? Measured { get; init; }

    /// <summary>Of several teachers; null where there are none.</summary>
    public PanelTotals? Panel { get; init; }

    /// <summary>Both together.</summary>
    /// <param name="other">Of the same objectives.</param>
    public LossTotals Plus(LossTotals other) =>
        new(Loss + other.Loss, [.. Terms.Zip(other.Terms, (a, b) => a.Plus(b))], Tokens + other.Tokens, SoftTokens + other.SoftTokens)
        {
            Measured = Measured is { } mine && other.Measured is { } theirs ? mine.Plus(theirs) : null,
            Panel = Panel is { } panel && other.Panel is { } others ? panel.Plus(others) : Panel ?? other.Panel,
        };

    /// <summary>With a further term, such as the balance of experts.</summary>
    /// <param name="term">Its sum.</param>
    /// <param name="weight">How much of it is a part of the loss.</param>
    public LossTotals With(TermTotal term, double weight = 1) => this with { Loss = Loss + (weight * term.Sum), Terms = [.. Terms, term] };

    /// <summary>With a further loss and its terms.</summary>
    /// <param name="other">Over the same tokens.</param>
    /// <param name="prefix">Of the names of its terms.</param>
    public LossTotals With(LossTotals other, string prefix) =>
        this with
        {
            Loss = Loss + other.Loss,
            Terms = [.. Terms, .. other.Terms.Select(term => term with { Name = prefix + term.Name })],
        };

    /// <summary>The sum of the named objective; 0 where there is none of that name.</summary>
    public double Of(string name) => Terms.FirstOrDefault(term => term.Name == name).Sum;
}

/// <summary>One objective summed over tokens.</summary>
/// <param name="Name">As in <see cref="ObjectiveTerm"/>.</param>
/// <param name="Sum">Nats, or what it is measured in.</param>
/// <param name="Tokens">The tokens that it was computed at.</param>
public readonly record struct TermTotal(string Name, double Sum, long Tokens)
{
    /// <summary>
    /// Sum over tokens of the squared norm of its gradient, by what it is a function of: a token's logits, the student's states that are
    /// compared, a router's probabilities, or (ewc) the weights. Null where that was not asked for.
    /// </summary>
    public double? SquaredGradient { get; init; }

    /// <summary>Both together.</summary>
    /// <param name="other">Of the same objective.</param>
    public TermTotal Plus(TermTotal other) =>
        this with
        {
            Sum = Sum + other.Sum,
            Tokens = Tokens + other.Tokens,
            SquaredGradient =
                SquaredGradient is null && other.SquaredGradient is null ? null : (SquaredGradient ?? 0) + (other.SquaredGradient ?? 0),
        };
}
