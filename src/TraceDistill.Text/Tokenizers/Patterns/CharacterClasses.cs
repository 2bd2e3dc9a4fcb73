namespace TraceDistill.Text.Tokenizers.Patterns;

/// <summary>Classes of characters that pre-tokenizer patterns tell apart, as .NET's <c>\p{L}</c>, <c>\p{N}</c> and <c>\s</c> do.</summary>
enum CharacterClass : byte
{
    Other,
    Letter,
    Number,
    Space,

    /// <summary>White space that patterns name: <c>[\r\n]</c>.</summary>
    LineBreak,
}

/// <summary>The class of each UTF-16 unit, looked up.</summary>
static class CharacterClasses
{
    static readonly CharacterClass[] Classes = Enumerable.Range(0, 0x10000).Select(code => Classify((char)code)).ToArray();

    public static CharacterClass Of(char character) => Classes[character];

    /// <summary>Where the run of a class that <paramref name="start"/> is in, or stands before, ends.</summary>
    public static int EndOfRun(ReadOnlySpan<char> text, int start, CharacterClass of)
    {
        while (start < text.Length && Classes[text[start]] == of)
        {
            start++;
        }
        return start;
    }

    static CharacterClass Classify(char character) =>
        character switch
        {
            '\r' or '\n' => CharacterClass.LineBreak,
            _ when char.IsLetter(character) => CharacterClass.Letter,
            _ when char.IsNumber(character) => CharacterClass.Number,
            _ when char.IsWhiteSpace(character) => CharacterClass.Space,
            _ => CharacterClass.Other,
        };
}
