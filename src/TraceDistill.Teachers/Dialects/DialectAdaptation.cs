namespace TraceDistill.Teachers.Dialects;

/// <summary>Takes from a dialect what a server refuses by name: models and versions of one server differ in what they know.</summary>
static class DialectAdaptation
{
    const string NewMaxTokensField = "max_completion_tokens";

    /// <param name="dialect">What the request was written in.</param>
    /// <param name="refusal">What the server said.</param>
    /// <returns>What to write the next one in; null where the refusal names nothing that can be left out.</returns>
    public static Dialect? Without(Dialect dialect, string refusal)
    {
        if (dialect.AsksForTokenIds && Names("return_token"))
        {
            return dialect with { AsksForTokenIds = false };
        }

        if (dialect.MaxTokensField != NewMaxTokensField && Names(NewMaxTokensField))
        {
            return dialect with { MaxTokensField = NewMaxTokensField };
        }

        if (dialect.TakesStreamOptions && Names("stream_options"))
        {
            return dialect with { TakesStreamOptions = false };
        }

        return dialect.Fields.Keys.FirstOrDefault(Names) is { } field
            ? dialect with { Fields = dialect.Fields.Where(other => other.Key != field).ToDictionary() }
            : null;

        bool Names(string field) => refusal.Contains(field, StringComparison.Ordinal);
    }
}
