using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Teachers.Telemetry;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Usage of the teacher in collecting: tokens, cost, latency, and what failed.</summary>
static class TeacherSection
{
    /// <returns>Null where no stage of the run asked a teacher.</returns>
    public static Section? Of(RunFacts run)
    {
        var stages = run.Stages.Where(stage => stage.Usage is not null).ToList();
        return stages.Count == 0
            ? null
            : new Section("teacher", "What the teacher was asked", Html.Of($"{stages.Select(stage => Of(stage, stage.Usage!))}"));
    }

    static Html Of(StageFacts stage, CollectionUsage usage)
    {
        var cost = usage.Cost is { } amount ? $" at a cost of {Show.Money(amount)}" : "";
        var head = Html.Of(
            $"""
            <th scope="col">endpoint</th><th scope="col">answered</th><th scope="col">failed</th>
            <th scope="col">prompt tokens</th><th scope="col">generated</th><th scope="col">cost</th>
            <th scope="col">p50</th><th scope="col">p95</th><th scope="col">p99</th>
            """
        );
        return Html.Of(
            $"""
            <p><b>{stage.Name}</b>: {Show.Large(usage.Tokens)} tokens{cost}; half of the answers came within {Show.Latency(
                usage.Latency.P50
            )}, 95% within {Show.Latency(usage.Latency.P95)}
            and 99% within {Show.Latency(usage.Latency.P99)}. {Failures(usage)} {Unread(usage)}</p>
            {Section.Table(head, usage.Endpoints.Select(Row))}
            """
        );
    }

    static Html Row(EndpointUsage endpoint) =>
        Html.Of(
            $"""
            <tr><th scope="row">{endpoint.Endpoint}</th><td>{Show.Count(endpoint.Answered)}</td><td>{Show.Count(
                endpoint.Failures.Values.Sum()
            )}</td>
            <td>{Show.Large(endpoint.PromptTokens)}</td><td>{Show.Large(endpoint.CompletionTokens)}</td><td>{(
                endpoint.Cost is { } cost ? Show.Money(cost) : Show.Nothing
            )}</td>
            <td>{Show.Latency(endpoint.Latency.P50)}</td><td>{Show.Latency(endpoint.Latency.P95)}</td><td>{Show.Latency(
                endpoint.Latency.P99
            )}</td></tr>
            """
        );

    static string Failures(CollectionUsage usage)
    {
        var kinds = usage
            .Endpoints.SelectMany(endpoint => endpoint.Failures)
            .GroupBy(failure => failure.Key, failure => failure.Value)
            .OrderByDescending(kind => kind.Sum())
            .Select(kind => $"{Show.Count(kind.Sum())} {kind.Key.Replace('_', ' ')}")
            .ToList();
        return kinds.Count == 0 ? "No attempt failed." : $"Attempts that failed and were retried or abandoned: {string.Join(", ", kinds)}.";
    }

    static string Unread(CollectionUsage usage)
    {
        var (hedged, unread) = (usage.Endpoints.Sum(endpoint => endpoint.Hedged), usage.Endpoints.Sum(endpoint => endpoint.UnreadTokens));
        var overtaken = hedged > 0 ? $"{Show.Count(hedged)} copies of requests were overtaken by the other copy. " : "";
        return unread > 0
            ? $"{overtaken}At most {Show.Large(unread)} tokens of the above are of answers that never arrived whole."
            : overtaken;
    }
}
