using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>A sample that is missing, and why.</summary>
/// <param name="Position">Its place in the plan.</param>
/// <param name="ProblemId">Its problem.</param>
/// <param name="Reason">One line, the same for all samples that failed in the same way.</param>
/// <param name="MayPass">True where the same request may succeed later.</param>
sealed record FailedSample(int Position, string ProblemId, string Reason, bool MayPass)
{
    const int ProblemsNamed = 5;
    const int ReasonsNamed = 3;

    public static FailedSample Of(PlannedTrace planned, Exception failure) =>
        Of(planned.Position, planned.Problem.Id, $"sample {planned.Request.Id}", failure);

    /// <param name="position">Its place in the plan.</param>
    /// <param name="problem">Its problem.</param>
    /// <param name="name">What the failure calls it, which is no part of the reason.</param>
    /// <param name="failure">Why it failed.</param>
    public static FailedSample Of(int position, string problem, string name, Exception failure) =>
        new(position, problem, failure.Message.Replace($"{name}: ", "", StringComparison.Ordinal), failure is ExternalFailureException);

    /// <summary>The most frequent reasons, each with the problems it is the reason for.</summary>
    public static string Describe(IEnumerable<FailedSample> failures)
    {
        var groups = failures.GroupBy(failure => failure.Reason).OrderByDescending(group => group.Count()).ToList();
        var rest = groups.Skip(ReasonsNamed).Sum(group => group.Count());
        return string.Join("; ", groups.Take(ReasonsNamed).Select(Describe)) + (rest > 0 ? $"; {rest:N0} more for other reasons" : "");
    }

    static string Describe(IGrouping<string, FailedSample> group)
    {
        var problems = group.Select(failure => failure.ProblemId).Distinct().ToList();
        var more = problems.Count > ProblemsNamed ? $" and {problems.Count - ProblemsNamed:N0} more" : "";
        return $"{string.Join(", ", problems.Take(ProblemsNamed))}{more}: {group.Key}";
    }
}
