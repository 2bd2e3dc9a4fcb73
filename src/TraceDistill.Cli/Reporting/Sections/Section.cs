using TraceDistill.Cli.Reporting.Markup;
using TraceDistill.Cli.Reporting.Reading;

namespace TraceDistill.Cli.Reporting.Sections;

/// <summary>One part of the report.</summary>
/// <param name="Id">Where the table of contents points.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Body">Content below the heading.</param>
sealed record Section(string Id, string Title, Html Body)
{
    /// <summary>Note on what a run does not have, and how to have it.</summary>
    public static Html Absent(string text) => Html.Of($"""<p class="absent">{text}</p>""");

    /// <summary>A drawing with its caption, which is markup.</summary>
    public static Html Figure(Html drawing, Html caption)
    {
        var below = caption.IsEmpty ? Html.Empty : Html.Of($"<figcaption>{caption}</figcaption>");
        return Html.Of($"""<figure><div class="scroll">{drawing}</div>{below}</figure>""");
    }

    /// <summary>A model's name with its colour.</summary>
    public static Html Chip(string name, int color) => Html.Of($"""<span class="chip c{color % 8}">{name}</span>""");

    /// <summary>Whose colour is whose.</summary>
    public static Html Legend(IEnumerable<(string Name, int Color)> entries) =>
        Html.Of($"""<p class="legend">{entries.Distinct().Select(entry => Chip(entry.Name, entry.Color))}</p>""");

    /// <summary>The legend of an evaluation's models.</summary>
    public static Html Legend(IEnumerable<ModelFacts> models) => Legend(models.Select(model => (model.Name, model.Color)));

    /// <summary>A table that scrolls by itself where the page is narrow.</summary>
    public static Html Table(Html head, IEnumerable<Html> rows) =>
        Html.Of($"""<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>""");
}
