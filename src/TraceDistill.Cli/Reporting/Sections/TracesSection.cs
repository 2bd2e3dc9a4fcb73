using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Charts;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>The teacher's traces: lengths of all traces, and a few of them token by token.</summary>
static class TracesSection
{
    public static Section? Of(RunFacts run) =>
        run.Traces.Count == 0
            ? null
            : new Section("traces", "Traces", Html.Of($"""<div class="grid">{run.Traces.Select(Overview)}</div>{Tokens(run)}"""));

    static Html Overview(TraceFacts traces)
    {
        var verdicts = traces
            .Lengths.CountBy(length => length.Verdict)
            .OrderBy(count => count.Key, StringComparer.Ordinal)
            .Select(count => $"{Show.Count(count.Value)} {count.Key}");
        var cut = traces.Lengths.Count(length => length.IsTruncated);
        var caption = Html.Of(
            $"""
            <b>{traces.Stage.Name}</b>: {Show.Count(traces.Count)} traces of {traces.Teacher}, {Show.Count(traces.Tokens)} tokens
            ({(double)traces.Tokens / Math.Max(1, traces.Count):0.0} on average); {string.Join(", ", verdicts)}; {Show.Count(cut)} cut off.
            {ProgressText.Bytes(traces.Bytes)} on disk, {(double)traces.Bytes / Math.Max(1, traces.Tokens):0.0} bytes a token {(
                traces.TopK > 0 ? $"with top-{traces.TopK} logprobs" : "without soft targets"
            )}.
            """
        );
        return Section.Figure(traces.Lengths.Count == 0 ? Html.Empty : LengthHistogram.Draw(traces, 1), caption);
    }

    static Html Tokens(RunFacts run)
    {
        var shown = run.Traces.Where(traces => traces is { Tokenizer: not null, TopK: > 0, Examples.Count: > 0 }).ToList();
        return shown.Count == 0
            ? Section.Absent("Tokens cannot be shown: no data set of this run has soft targets and a tokenizer that spells them.")
            : TokenExplorer.Render(shown);
    }
}
