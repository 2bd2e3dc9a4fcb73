namespace TraceDistill.Core.Verification;

/// <summary>Words that say that what stands beside them is not the answer.</summary>
static class Denial
{
    static readonly string[] Negations =
    [
        "not", "isn't", "isn’t", "never", "cannot be", "can't be", "\\ne", "\\neq", "≠", "no es", "no son", "nicht", "nie", "n'est pas", "não é", "non è", "не", "nie jest",
        "不是", "不为", "不等于",
    ];

    // They stand behind what they deny.
    static readonly string[] Trailing = ["ではありません", "ではない", "じゃない", "이 아닙니다", "가 아닙니다", "이 아니다", "नहीं", "değil"];

    /// <summary>Returns whether a text has a denial anywhere.</summary>
    public static bool IsIn(string text) =>
        Negations.Any(negation => text.Contains($"{negation} ", StringComparison.OrdinalIgnoreCase)) || IsAsWord(text) || IsBehind(text);

    /// <summary>Returns whether a text begins with a denial.</summary>
    public static bool IsAtStart(string text) => Negations.Any(negation => text.StartsWith($"{negation} ", StringComparison.OrdinalIgnoreCase)) || IsBehind(text);

    /// <summary>Returns whether the words before a place deny what stands there.</summary>
    public static bool IsBefore(string text, int at)
    {
        var before = text.AsSpan(Math.Max(0, at - 24), Math.Min(at, 24)).TrimEnd(" $*_(\\[:`\"{").ToString();
        return Negations.Any(negation => before.EndsWith(negation, StringComparison.OrdinalIgnoreCase)
            && (before.Length == negation.Length || !char.IsLetter(before[^(negation.Length + 1)]) || !char.IsLetter(negation[0]) || negation[0] >= '\u2E80'));
    }

    /// <summary>Returns whether a text has a denial of the languages that put it last.</summary>
    public static bool IsBehind(string text) => Trailing.Any(negation => text.Contains(negation, StringComparison.Ordinal));

    /// <summary>Chinese puts no space behind the word.</summary>
    static bool IsAsWord(string text) => Negations.Any(negation => negation[0] >= '\u2E80' && text.Contains(negation, StringComparison.Ordinal));
}
