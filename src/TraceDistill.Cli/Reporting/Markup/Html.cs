using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace TraceDistill.Cli.Reporting.Markup;

/// <summary>
/// Markup that is safe to put into a page. It is written as an interpolated string whose literal parts are markup and whose holes are text:
/// every hole is escaped unless it is markup itself, so what a model or a problem file says can never become part of the page's structure.
/// </summary>
readonly struct Html
{
    readonly string? _markup;

    Html(string markup) => _markup = markup;

    public static Html Empty => default;

    /// <summary>True where there is nothing to show.</summary>
    public bool IsEmpty => string.IsNullOrEmpty(_markup);

    public static Html Of(HtmlInterpolation content) => new(content.Markup);

    /// <summary>Takes markup as it is: for the program's own assets and generated drawings, never for data.</summary>
    public static Html Trusted(string markup) => new(markup);

    public static Html Join(IEnumerable<Html> parts) => new(string.Concat(parts.Select(part => part._markup)));

    public override string ToString() => _markup ?? "";
}

/// <summary>Builds an <see cref="Html"/> from an interpolated string.</summary>
[InterpolatedStringHandler]
readonly ref struct HtmlInterpolation(int literalLength, int formattedCount)
{
    readonly StringBuilder _builder = new(literalLength + formattedCount * 16);

    public string Markup => _builder.ToString();

    public void AppendLiteral(string markup) => _builder.Append(markup);

    public void AppendFormatted(Html markup) => _builder.Append(markup);

    public void AppendFormatted(IEnumerable<Html> parts)
    {
        foreach (var part in parts)
        {
            _builder.Append(part);
        }
    }

    public void AppendFormatted(string? text) => _builder.Append(WebUtility.HtmlEncode(text));

    public void AppendFormatted<T>(T value, string? format = null)
        where T : IFormattable => AppendFormatted(value.ToString(format, null));
}
