using System.Text;
using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>Reads a message's <c>content</c>: a text, or as Mistral has it a list of parts, of which some are thinking.</summary>
static class ContentParts
{
    const string Member = "choices[0].message.content";

    /// <summary>The answer and the reasoning of the member at the reader; null where there is none.</summary>
    public static (string? Content, string? Reasoning) Read(ref Utf8JsonReader reader)
    {
        reader.Read();
        switch (reader.TokenType)
        {
            case JsonTokenType.Null:
                return (null, null);
            case JsonTokenType.StartArray:
                var (content, reasoning) = (new StringBuilder(), new StringBuilder());
                while (reader.NextElement())
                {
                    if (reader.TokenType == JsonTokenType.String)
                    {
                        content.Append(LenientText.Read(ref reader));
                        continue;
                    }

                    reader.Expect(JsonTokenType.StartObject, $"{Member}[]");
                    ReadPart(ref reader, content, reasoning);
                }

                return (content.ToString(), reasoning.Length > 0 ? reasoning.ToString() : null);
            default:
                reader.Expect(JsonTokenType.String, Member);
                return (LenientText.Read(ref reader), null);
        }
    }

    /// <summary>
    /// A part tells by its member what it is: <c>text</c>, or <c>thinking</c>, which is a text or again a list of parts of text.
    /// </summary>
    static void ReadPart(ref Utf8JsonReader reader, StringBuilder content, StringBuilder reasoning)
    {
        while (reader.NextMember())
        {
            if (reader.ValueTextEquals("text"u8))
            {
                content.Append(reader.StringValue($"{Member}[].text"));
            }
            else if (reader.ValueTextEquals("thinking"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.String)
                {
                    reasoning.Append(LenientText.Read(ref reader));
                }
                else if (reader.TokenType != JsonTokenType.Null)
                {
                    reader.Expect(JsonTokenType.StartArray, $"{Member}[].thinking");
                    while (reader.NextElement())
                    {
                        reader.Expect(JsonTokenType.StartObject, $"{Member}[].thinking[]");
                        ReadPart(ref reader, reasoning, reasoning);
                    }
                }
            }
            else
            {
                reader.SkipValue();
            }
        }
    }
}
