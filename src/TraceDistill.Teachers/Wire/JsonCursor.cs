using System.Text.Json;

namespace TraceDistill.Teachers.Wire;

/// <summary>Steps over <see cref="Utf8JsonReader"/> that say what is wrong, and where, when a response is of another shape.</summary>
static class JsonCursor
{
    /// <summary>Moves to the next member of the object that the reader is in; false at its end.</summary>
    public static bool NextMember(ref this Utf8JsonReader reader) => reader.Read() && reader.TokenType == JsonTokenType.PropertyName;

    /// <summary>Moves to the next element of the array that the reader is in; false at its end.</summary>
    public static bool NextElement(ref this Utf8JsonReader reader) => reader.Read() && reader.TokenType != JsonTokenType.EndArray;

    /// <summary>Moves past a member's name; false, with the value consumed, where the value is null.</summary>
    public static bool EnterValue(ref this Utf8JsonReader reader, JsonTokenType expected, string member)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return false;
        }

        reader.Expect(expected, member);
        return true;
    }

    public static void Expect(ref this Utf8JsonReader reader, JsonTokenType expected, string member)
    {
        if (reader.TokenType != expected)
        {
            throw new WireFormatException($"{member} is {Describe(reader.TokenType)} instead of {Describe(expected)}");
        }
    }

    /// <summary>The string value of the member at the reader, or null.</summary>
    public static string? StringValue(ref this Utf8JsonReader reader, string member) =>
        reader.EnterValue(JsonTokenType.String, member) ? LenientText.Read(ref reader) : null;

    /// <summary>The integer value of the member at the reader, or null.</summary>
    public static int? IntegerValue(ref this Utf8JsonReader reader, string member) =>
        reader.EnterValue(JsonTokenType.Number, member) ? reader.Integer(member) : null;

    /// <summary>Tokens that no prompt or answer exceeds: a count above it is a slip, and would use up a budget.</summary>
    const int MostTokens = 1 << 24;

    /// <summary>The count at the member at the reader; null for whatever is none. An answer is not lost for a figure beside it.</summary>
    public static int? CountValue(ref this Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number)
        {
            // Some servers count in floating point.
            return reader.TryGetDouble(out var number) && number is >= 0 and <= MostTokens ? (int)number : null;
        }

        reader.Skip();
        return null;
    }

    /// <summary>The string value of the member at the reader; null for whatever is none.</summary>
    public static string? NameValue(ref this Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String)
        {
            return LenientText.Read(ref reader);
        }

        reader.Skip();
        return null;
    }

    /// <summary>The integers of the array member at the reader, or null.</summary>
    public static int[]? IntegersValue(ref this Utf8JsonReader reader, string member)
    {
        if (!reader.EnterValue(JsonTokenType.StartArray, member))
        {
            return null;
        }

        var values = new List<int>();
        while (reader.NextElement())
        {
            reader.Expect(JsonTokenType.Number, member);
            values.Add(reader.Integer(member));
        }

        return [.. values];
    }

    /// <summary>
    /// Steps over the list of the member at the reader: to be read later, beside another one that may stand before or behind it.
    /// </summary>
    /// <returns>Where it starts in what the reader reads; 0 where the value is null.</returns>
    public static int ListStart(ref this Utf8JsonReader reader, string member)
    {
        if (!reader.EnterValue(JsonTokenType.StartArray, member))
        {
            return 0;
        }

        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return start;
    }

    /// <summary>A reader within the list that starts there; within an empty one for 0.</summary>
    public static Utf8JsonReader ListAt(ReadOnlySpan<byte> json, int start)
    {
        var reader = new Utf8JsonReader(start == 0 ? "[]"u8 : json[start..]);
        reader.Read();
        return reader;
    }

    /// <summary>Skips the value of the member at the reader.</summary>
    public static void SkipValue(ref this Utf8JsonReader reader)
    {
        reader.Read();
        reader.Skip();
    }

    static int Integer(ref this Utf8JsonReader reader, string member) =>
        reader.TryGetInt32(out var value) ? value : throw new WireFormatException($"{member} holds a number that is not a 32-bit integer");

    static string Describe(JsonTokenType type) =>
        type switch
        {
            JsonTokenType.StartObject => "an object",
            JsonTokenType.StartArray => "an array",
            JsonTokenType.String => "a string",
            JsonTokenType.Number => "a number",
            JsonTokenType.Null => "null",
            JsonTokenType.True or JsonTokenType.False => "a boolean",
            _ => type.ToString(),
        };
}
