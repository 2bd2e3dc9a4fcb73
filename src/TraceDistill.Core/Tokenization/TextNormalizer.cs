using System.Text.RegularExpressions;
using TraceDistill.Core.Tokenization.Unicode;

namespace TraceDistill.Core.Tokenization;

/// <summary>What text goes through before it is cut: the <c>normalizer</c> field of tokenizer.json.</summary>
sealed class TextNormalizer
{
    readonly IReadOnlyList<NormalizerStep> _steps;

    TextNormalizer(IReadOnlyList<NormalizerStep> steps) => _steps = steps;

    public static TextNormalizer Read(JsonField? field) => new(field is { } normalizer ? [.. Steps(normalizer)] : []);

    /// <param name="text">A stretch of text.</param>
    /// <param name="alignment">Is told what was changed, where it is wanted.</param>
    public string Normalize(string text, TextAlignment? alignment = null)
    {
        foreach (var step in _steps)
            text = step(text, alignment);
        return text;
    }

    /// <summary>As <see cref="Normalize(string, TextAlignment?)"/> for a part of a text, which is copied only where there is something to do.</summary>
    public ReadOnlySpan<char> Normalize(string text, int start, int end, TextAlignment? alignment) =>
        _steps.Count == 0 ? text.AsSpan(start, end - start) : Normalize(text[start..end], alignment);

    static IEnumerable<NormalizerStep> Steps(JsonField field)
    {
        var type = field["type"];
        switch (type.Text())
        {
            case "Sequence":
                return field["normalizers"].Items().SelectMany(Steps);
            case "NFC":
                return [NormalizationFormC.Normalize];
            case "Prepend":
                return [Prepending(field["prepend"].Text())];
            case "Replace":
                return [Replacement(field)];
            default:
                throw type.Unsupported($"a {type.Text()} normalizer");
        }
    }

    static NormalizerStep Prepending(string prefix) => (text, alignment) =>
    {
        if (text.Length == 0)
            return text;
        alignment?.Prepend(prefix.Length);
        return prefix + text;
    };

    /// <summary><c>Replace</c>, which is a normalizer and a decoder.</summary>
    public static NormalizerStep Replacement(JsonField field)
    {
        var (pattern, content) = (field["pattern"], field["content"].Text());
        if (pattern.Find("Regex") is not { } regex)
        {
            var wanted = pattern["String"].Text();
            return wanted.Length == 0 ? throw pattern.Wrong("text to look for") : (text, alignment) =>
            {
                alignment?.Replace(Occurrences(text, wanted), content);
                return text.Replace(wanted, content, StringComparison.Ordinal);
            };
        }

        try
        {
            var compiled = new Regex(regex.Text(), RegexOptions.Compiled | RegexOptions.CultureInvariant);
            return (text, alignment) =>
            {
                alignment?.Replace(compiled.Matches(text).Select(match => new Piece(match.Index, match.Length)), content);
                return compiled.Replace(text, _ => content);
            };
        }
        catch (ArgumentException malformed)
        {
            throw pattern.Unsupported($"the regular expression ({malformed.Message})");
        }
    }

    static IEnumerable<Piece> Occurrences(string text, string wanted)
    {
        for (var at = text.IndexOf(wanted, StringComparison.Ordinal); at >= 0; at = text.IndexOf(wanted, at + wanted.Length, StringComparison.Ordinal))
            yield return new Piece(at, wanted.Length);
    }
}

/// <summary>Changes a text, and tells the alignment, where it is wanted, what was changed.</summary>
delegate string NormalizerStep(string text, TextAlignment? alignment);
