using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>Time and memory that each stage took.</summary>
static class CostSection
{
    /// <summary>A table of more stages is shown when it is asked for.</summary>
    const int MostRows = 60;

    public static Section Of(RunFacts run)
    {
        var total = run.Seconds;
        var longest = Math.Max(1e-9, run.Stages.Max(stage => stage.Seconds));
        var rows = run.Stages.Select(stage =>
            Html.Of(
                $"""
                <tr><th scope="row">{stage.Name}</th><td class="text">{stage.Verb}</td><td>{Show.Duration(stage.Seconds)}</td>
                <td><div class="bar" aria-hidden="true"><i style="width:{100 * stage.Seconds / longest:0.##}%"></i></div></td>
                <td>{(total > 0 ? Show.Percent(stage.Seconds / total) : Show.Nothing)}</td><td>{ProgressText.Bytes(
                    stage.PeakMemoryBytes
                )}</td></tr>
                """
            )
        );
        var head = Html.Of(
            $"""
            <th scope="col">stage</th><th scope="col" class="text">verb</th><th scope="col">time</th><td></td>
            <th scope="col">share</th><th scope="col">peak memory</th>
            """
        );
        return new Section(
            "cost",
            "What it cost",
            Html.Of(
                $"""
                <p>{Show.Duration(total)} in all, and at most {ProgressText.Bytes(run.PeakMemoryBytes)} of memory at once.
                Stages that ran side by side count once in that time, and their memory is added up.
                Time spent in interrupted attempts is included; this report, which was not finished when it was written, is not.</p>
                {(run.Stages.Count <= MostRows
                    ? Section.Table(head, rows)
                    : Html.Of($"<details><summary>{run.Stages.Count} stages</summary>{Section.Table(head, rows)}</details>"))}
                """
            )
        );
    }
}
