using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Says which traces are there that the options of now do not ask for, and why they do not.</summary>
static class LeftOver
{
    const int ProblemsNamed = 5;

    /// <summary>Error that says what to do about it, in one line.</summary>
    public static InvalidInputException Refusal(string path, string difference) =>
        new(
            $"{path}: {difference}; put that back, collect into another folder (--out, "
                + "or a stage of another name), or give these traces up with --discard"
        );

    /// <summary>Options that make the traces that are there other traces; null where none does.</summary>
    /// <param name="then">The options that they were asked for with; null where that was not kept.</param>
    /// <param name="now">Those of now.</param>
    /// <param name="present">Number of traces that are there.</param>
    public static string? OfOptions(CollectionIdentity? then, CollectionIdentity now, long present) =>
        then?.DifferencesTo(now) is { Count: > 0 } differences
            ? $"holds {Counted.Of(present, "trace")} of other options: {string.Join("; ", differences)}"
            : null;

    /// <summary>Traces of problems or samples that are not wanted; null where there are none.</summary>
    /// <param name="problems">The problems of now.</param>
    /// <param name="samples">Samples wanted of each.</param>
    /// <param name="leftOver">The traces that are not in the plan.</param>
    /// <param name="isKnown">True where the options are known to be the same.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static async Task<string?> OfPlanAsync(
        ProblemSource problems,
        int samples,
        IAsyncEnumerable<Trace> leftOver,
        bool isKnown,
        CancellationToken cancellationToken
    )
    {
        var (gone, more, other) = (new List<string>(), 0L, new List<string>());
        HashSet<string>? ids = null;
        await foreach (var trace in leftOver.WithCancellation(cancellationToken))
        {
            ids ??=
            [
                .. await problems
                    .ReadAsync(new ProblemCounts(), cancellationToken)
                    .Select(read => read.Problem.Id)
                    .ToListAsync(cancellationToken),
            ];
            if (!ids.Contains(trace.ProblemId))
            {
                gone.Add(trace.ProblemId);
            }
            else if (trace.SampleIndex >= samples)
            {
                more++;
            }
            else
            {
                other.Add(trace.ProblemId);
            }
        }

        var where = problems.Limit is { } limit ? $"the first {limit:N0} of {problems.Path}" : problems.Path;
        var changed = isKnown
            ? "of problems whose text has changed"
            : "of problems whose text, or of options whose values, have changed (which was not kept)";
        string?[] parts =
        [
            gone.Count == 0 ? null : $"{Counted.Of(gone.Count, "trace")} of problems that are no longer in {where} ({Some(gone)})",
            more == 0 ? null : $"{Counted.Of(more, "trace")} beyond samples_per_problem: {samples}",
            other.Count == 0 ? null : $"{Counted.Of(other.Count, "trace")} {changed} ({Some(other)})",
        ];
        return parts.Any(part => part is not null) ? $"holds {string.Join("; ", parts.OfType<string>())}" : null;
    }

    static string Some(List<string> problems)
    {
        var distinct = problems.Distinct().ToList();
        return string.Join(", ", distinct.Take(ProblemsNamed))
            + (distinct.Count > ProblemsNamed ? $" and {distinct.Count - ProblemsNamed:N0} more" : "");
    }
}
