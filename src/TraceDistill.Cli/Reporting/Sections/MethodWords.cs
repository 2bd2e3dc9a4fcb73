using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Contracts;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>A comparison of methods in words and figures for people, the same on the page and in its files.</summary>
static class MethodWords
{
    const int NamedInBrief = 4;

    /// <summary>86.9% or 0.0715.</summary>
    public static string Figure(MethodMeasure measure, double value) => measure.IsShare ? Show.Percent(value) : $"{value:0.0000}";

    /// <summary>The bounds of such a figure; a dash for a single seed.</summary>
    public static string Bounds(MethodMeasure measure, Interval? interval) =>
        interval is not { } known ? Show.Nothing
        : measure.IsShare ? Show.Percent(known)
        : $"{known.Low:0.0000}–{known.High:0.0000}";

    /// <summary>+1.2 or −0.0031.</summary>
    public static string Difference(MethodMeasure measure, double value) => measure.IsShare ? Show.Points(value) : Show.Nats(value);

    /// <summary>The bounds of such a difference; a dash for a single seed.</summary>
    public static string DifferenceBounds(MethodMeasure measure, Interval? interval) =>
        interval is { } known ? $"{Difference(measure, known.Low)} to {Difference(measure, known.High)}" : Show.Nothing;

    /// <summary>In what differences are.</summary>
    public static DifferenceScale Scale(MethodMeasure measure) => measure.IsShare ? DifferenceScale.Points : DifferenceScale.Nats;

    /// <summary>"helped", "harmed" or "cannot be told apart".</summary>
    public static string Verdict(MethodVerdict verdict) =>
        verdict switch
        {
            MethodVerdict.Helped => "helped",
            MethodVerdict.Harmed => "harmed",
            _ => "cannot be told apart",
        };

    /// <summary>How the figures were made, and what the tests assume.</summary>
    public static string Explanation(MethodComparison comparison)
    {
        var compared = comparison.Methods.Count - 1;
        var few =
            comparison.Seeds < Ablation.EnoughSeeds
                ? $" {(comparison.Seeds == 1 ? "One seed is" : $"{comparison.Seeds} seeds are")} few: "
                    + $"{Ablation.EnoughSeeds} or more make a finding."
                : "";
        var corrected = compared == 1 ? "" : $", corrected by Holm's method for the {compared} comparisons of its column";
        var least = compared * 2 / Math.Pow(2, comparison.Seeds);
        var signs =
            least < MethodDifference.Level
                ? ""
                : $" An exact test of signs could not decide: of n seeds its smallest p is 2/2ⁿ, times "
                    + $"{Counted.Of(compared, "method")}.";
        var problems = string.Join(
            " and ",
            comparison.Evaluations.Select(evaluation =>
                $"{Show.Count(evaluation.Result.N)} problems{(comparison.Evaluations.Count > 1 ? $" in {evaluation.Stage.Name}" : "")}"
            )
        );
        return $"A row is one way of training, the mean of {comparison.Seeds} {(comparison.Seeds == 1 ? "seed" : "seeds")} on "
            + $"{problems}. Differences are paired: both of a pair began with the same seed. "
            + "Each interval is 95% of Student's t over the seeds, for itself alone. p is of the paired t test, which assumes that the "
            + $"differences of seeds are normally distributed{corrected}; below {MethodDifference.Level} a method is said to help or to "
            + "harm."
            + signs
            + few;
    }

    /// <summary>Methods that helped, harmed, or cannot be told apart from a baseline: a sentence for each figure.</summary>
    /// <param name="isBrief">
    /// Names a few of those that helped or harmed most, and counts the others and those that cannot be told apart.
    /// </param>
    public static IEnumerable<string> Findings(MethodComparison comparison, string baseline, bool isBrief)
    {
        foreach (var measure in comparison.Measures)
        {
            var differences = comparison.Methods.Select(method => (method.Name, Found: method.Against(baseline, measure)));
            var by = differences
                .Where(method => method.Found is not null)
                .OrderByDescending(method => Math.Abs(method.Found!.Difference.Mean))
                .ToLookup(method => method.Found!.Verdict);
            var undecided = by[MethodVerdict.Undecided].Select(method => method.Name).ToList();
            string[] parts =
            [
                $"helped: {List([.. by[MethodVerdict.Helped]], measure, isBrief)}",
                $"harmed: {List([.. by[MethodVerdict.Harmed]], measure, isBrief)}",
                undecided.Count == 0 ? "all are told apart"
                : isBrief ? $"{undecided.Count} cannot be told apart"
                : $"cannot be told apart: {string.Join(", ", undecided)}",
            ];
            yield return $"Against {baseline} by {measure.Title}, {string.Join("; ", parts)}.";
        }
    }

    static string List(List<(string Name, MethodDifference? Found)> methods, MethodMeasure measure, bool isBrief)
    {
        var unit = measure.IsShare ? "points" : "nats";
        var named = methods
            .Take(isBrief ? NamedInBrief : methods.Count)
            .Select(method => $"{method.Name} ({Difference(measure, method.Found!.Difference.Mean)} {unit})")
            .ToList();
        var more = methods.Count > named.Count ? $" and {methods.Count - named.Count} more" : "";
        return named.Count == 0 ? "none" : string.Join(", ", named) + more;
    }
}
