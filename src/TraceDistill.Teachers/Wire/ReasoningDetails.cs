using System.Text;
using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads OpenRouter's <c>reasoning_details</c>: pieces of reasoning, each as text, as a summary or encrypted.</summary>
static class ReasoningDetails
{
    /// <summary>
    /// The reasoning of the member at the reader: the texts, or the summaries where there is no text; null where there is neither.
    /// </summary>
    public static string? Read(ref Utf8JsonReader reader)
    {
        const string Member = "choices[0].message.reasoning_details";
        if (!reader.EnterValue(JsonTokenType.StartArray, Member))
        {
            return null;
        }

        var (texts, summaries) = (new StringBuilder(), new StringBuilder());
        while (reader.NextElement())
        {
            reader.Expect(JsonTokenType.StartObject, Member);
            while (reader.NextMember())
            {
                if (reader.ValueTextEquals("text"u8))
                {
                    texts.Append(reader.StringValue($"{Member}[].text"));
                }
                else if (reader.ValueTextEquals("summary"u8))
                {
                    summaries.Append(reader.StringValue($"{Member}[].summary"));
                }
                else
                {
                    reader.SkipValue();
                }
            }
        }

        var reasoning = texts.Length > 0 ? texts : summaries;
        return reasoning.Length > 0 ? reasoning.ToString() : null;
    }
}
