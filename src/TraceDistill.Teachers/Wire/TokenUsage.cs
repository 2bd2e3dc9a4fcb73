using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>The member <c>usage</c> of a response.</summary>
/// <param name="PromptTokens">Null where it is not told.</param>
/// <param name="CompletionTokens">Null where it is not told.</param>
readonly record struct TokenUsage(int? PromptTokens, int? CompletionTokens)
{
    /// <summary>Reads the value behind the name at the reader; one that is no object tells nothing.</summary>
    public static TokenUsage Read(ref Utf8JsonReader reader)
    {
        var usage = default(TokenUsage);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return usage;
        }

        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("prompt_tokens"u8))
            {
                usage = usage with { PromptTokens = reader.CountValue() ?? usage.PromptTokens };
            }
            else if (reader.ValueTextEquals("completion_tokens"u8))
            {
                usage = usage with { CompletionTokens = reader.CountValue() ?? usage.CompletionTokens };
            }
            else
            {
                reader.SkipValue();
            }
        }

        return usage;
    }
}
