using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace TraceDistill.Training.Batching;

/// <summary>Measures of a sequence's difficulty.</summary>
public enum Difficulty
{
    /// <summary>Its tokens, prompt included.</summary>
    Length,

    /// <summary>
    /// Mean entropy of its soft targets in nats, what they leave out as one more alternative; of a sequence without soft targets among
    /// others that have them it is infinite.
    /// </summary>
    Entropy,

    /// <summary>Share of its problem's traces that are not verified as correct, those among them that are left out of training.</summary>
    PassRate,
}

/// <summary>Courses of <see cref="Curriculum"/> to all of the data.</summary>
public enum CurriculumPace
{
    /// <summary>New sequences come the more slowly the more there are: each has about the same time until it comes again.</summary>
    SquareRoot,

    /// <summary>As many new sequences in every step.</summary>
    Linear,
}

/// <summary>
/// Easy sequences first: at step t a student learns from the easiest share c(t) of the sequences, drawn as they are without a curriculum,
/// with c(t) = min(1, (t / T · (1 − c₀ᵖ) + c₀ᵖ)^(1/p)), p = 2 for the square root and 1 for the line (Platanios et al., "Competence-based
/// Curriculum Learning", arXiv 1903.09848, equations 6 and 7). From step T on all of them are learned from.
/// </summary>
public sealed record Curriculum : IParsable<Curriculum>
{
    [Description("Measure of a sequence's difficulty: length, entropy of its soft targets, or pass_rate of its problem's traces")]
    public Difficulty By { get; init; }

    /// <summary>T, as a fraction of all steps.</summary>
    /// <value>0.5.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Fraction of all steps after which all sequences are learned from")]
    public double Until { get; init; } = 0.5;

    /// <summary>c₀.</summary>
    /// <value>0.1.</value>
    [Range(1e-6, 1.0, ErrorMessage = "must be above 0 and at most 1")]
    [Description("Fraction of the sequences, the easiest ones, that the first step draws from")]
    public double From { get; init; } = 0.1;

    /// <value>square_root.</value>
    [Description("Course from there to all of them: square_root or linear")]
    public CurriculumPace Pace { get; init; }

    /// <summary>c(t), above 0 and at most 1.</summary>
    /// <param name="step">t, counted from 0.</param>
    /// <param name="steps">Of the whole training.</param>
    public double ShareAt(long step, long steps)
    {
        var end = Until * steps;
        if (step >= end)
        {
            return 1;
        }

        var power = Pace == CurriculumPace.SquareRoot ? 2 : 1;
        var first = Math.Pow(From, power);
        return Math.Min(1, Math.Pow(step / end * (1 - first) + first, 1.0 / power));
    }

    public static Curriculum Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var result)
            ? result
            : throw new FormatException($"expected length, entropy, pass_rate, or a map with by, until, from and pace, found \"{s}\"");

    public static bool TryParse(string? s, IFormatProvider? provider, out Curriculum result)
    {
        var known = Enum.GetValues<Difficulty>()
            .Where(by => JsonNamingPolicy.SnakeCaseLower.ConvertName($"{by}").Equals(s, StringComparison.OrdinalIgnoreCase))
            .ToArray();
        result = new Curriculum { By = known.FirstOrDefault() };
        return known.Length == 1;
    }

    public override string ToString() => FormattableString.Invariant($"by {By}, from {From} until {Until}, {Pace}");
}
