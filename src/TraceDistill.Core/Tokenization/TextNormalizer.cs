using System.Text.RegularExpressions;
using TraceDistill.Core.Tokenization.Unicode;

namespace TraceDistill.Core.Tokenization;

/// <summary>What text goes through before it is cut: the <c>normalizer</c> field of tokenizer.json.</summary>
sealed class TextNormalizer
{
    readonly IReadOnlyList<Func<string, string>> _steps;

    TextNormalizer(IReadOnlyList<Func<string, string>> steps) => _steps = steps;

    public static TextNormalizer Read(JsonField? field) => new(field is { } normalizer ? [.. Steps(normalizer)] : []);

    public string Normalize(string text)
    {
        foreach (var step in _steps)
            text = step(text);
        return text;
    }

    static IEnumerable<Func<string, string>> Steps(JsonField field)
    {
        var type = field["type"];
        switch (type.Text())
        {
            case "Sequence":
                return field["normalizers"].Items().SelectMany(Steps);
            case "NFC":
                return [NormalizationFormC.Normalize];
            case "Prepend":
                var prefix = field["prepend"].Text();
                return [text => text.Length == 0 ? text : prefix + text];
            case "Replace":
                return [Replacement(field)];
            default:
                throw type.Unsupported($"a {type.Text()} normalizer");
        }
    }

    /// <summary><c>Replace</c>, which is a normalizer and a decoder.</summary>
    public static Func<string, string> Replacement(JsonField field)
    {
        var (pattern, content) = (field["pattern"], field["content"].Text());
        if (pattern.Find("Regex") is not { } regex)
        {
            var text = pattern["String"].Text();
            return text.Length == 0 ? throw pattern.Wrong("text to look for") : value => value.Replace(text, content, StringComparison.Ordinal);
        }

        try
        {
            var compiled = new Regex(regex.Text(), RegexOptions.Compiled | RegexOptions.CultureInvariant);
            return value => compiled.Replace(value, _ => content);
        }
        catch (ArgumentException malformed)
        {
            throw pattern.Unsupported($"the regular expression ({malformed.Message})");
        }
    }
}
