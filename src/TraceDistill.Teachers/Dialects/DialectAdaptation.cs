using System.Text.RegularExpressions;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Dialects;

/// <summary>Takes from a dialect what a server refuses by name: models and versions of one server differ in what they know.</summary>
static partial class DialectAdaptation
{
    const string NewMaxTokensField = "max_completion_tokens";

    /// <param name="dialect">Dialect in which the request was written.</param>
    /// <param name="refusal">The server's words.</param>
    /// <param name="sampling">Sampling settings of the request.</param>
    /// <returns>Dialect of the next request; null where the refusal names nothing that can be left out.</returns>
    public static Dialect? Without(Dialect dialect, string refusal, SamplingSettings sampling)
    {
        if (dialect.AsksForTokenIds && refusal.Contains("return_token", StringComparison.Ordinal))
        {
            return dialect with { AsksForTokenIds = false };
        }

        if (dialect.MaxTokensField != NewMaxTokensField && Names(NewMaxTokensField))
        {
            return dialect with { MaxTokensField = NewMaxTokensField };
        }

        if (
            Optional(sampling).FirstOrDefault(field => !dialect.LeftOut.Contains(field) && Names(field)) is { } optional
            && SaysUnknown().IsMatch(refusal)
        )
        {
            return dialect with { LeftOut = new HashSet<string>(dialect.LeftOut) { optional } };
        }

        return dialect.Fields.Keys.FirstOrDefault(Names) is { } field
            ? dialect with
            {
                Fields = dialect.Fields.Where(other => other.Key != field).ToDictionary(),
            }
            : null;

        bool Names(string field) =>
            Regex.IsMatch(refusal, $@"(?<!\w){field}(?!\w)", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(10));
    }

    /// <summary>Fields whose absence asks for the same, or for what is nearest to it.</summary>
    static IEnumerable<string> Optional(SamplingSettings sampling) =>
        [
            .. sampling.Temperature == 1 ? ["temperature"] : Array.Empty<string>(),
            .. sampling.TopP == 1 ? ["top_p"] : Array.Empty<string>(),
            "seed",
            "stream_options",
        ];

    /// <summary>As opposed to a value that is out of range.</summary>
    [GeneratedRegex(
        "unsupported|not support|unknown|unrecogni|unexpected|not permitted|not allowed|extra",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex SaysUnknown();
}
