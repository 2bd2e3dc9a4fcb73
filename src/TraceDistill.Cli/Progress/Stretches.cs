using Spectre.Console;
using Spectre.Console.Rendering;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Cli.Progress;

/// <summary>
/// Emphasised stretches in green and the rest dim, or without colours between marks; never wrapped, so that it can be copied as it is.
/// </summary>
sealed class Stretches(IReadOnlyList<TextStretch> text, bool hasColours) : IRenderable
{
    static readonly Style Emphasised = new(Color.Green);
    static readonly Style Rest = new(decoration: Decoration.Dim);

    public Measurement Measure(RenderOptions options, int maxWidth) => new(1, maxWidth);

    public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
        hasColours
            ? [.. text.Select(stretch => new Segment(stretch.Text, stretch.IsEmphasised ? Emphasised : Rest)), Segment.LineBreak]
            : [new Segment(TextStretch.Marked(text)), Segment.LineBreak];
}
