using System.Text.RegularExpressions;
using TraceDistill.Core.Tokenization.Unicode;

namespace TraceDistill.Core.Tokenization;

/// <summary>One step of a normalizer.</summary>
/// <param name="Type"><c>NFC</c>, <c>Prepend</c> or <c>Replace</c>.</param>
/// <param name="Pattern">What <c>Replace</c> looks for.</param>
/// <param name="Content">What comes before the text or in the place of <paramref name="Pattern"/>.</param>
public sealed record NormalizerStep(string Type, string? Pattern = null, string? Content = null);

/// <summary>What text goes through before it is cut: the <c>normalizer</c> field of tokenizer.json.</summary>
sealed class TextNormalizer
{
    readonly IReadOnlyList<(NormalizerStep Step, Func<string, string> Apply)> _steps;

    TextNormalizer(IReadOnlyList<(NormalizerStep, Func<string, string>)> steps) => _steps = steps;

    /// <summary>As tokenizer.json has them.</summary>
    public IReadOnlyList<NormalizerStep> Steps => [.. _steps.Select(step => step.Step)];

    public static TextNormalizer Read(JsonField? field) => new(field is { } normalizer ? [.. ReadSteps(normalizer)] : []);

    public string Normalize(string text)
    {
        foreach (var (_, apply) in _steps)
            text = apply(text);
        return text;
    }

    static IEnumerable<(NormalizerStep, Func<string, string>)> ReadSteps(JsonField field)
    {
        var type = field["type"];
        switch (type.Text())
        {
            case "Sequence":
                return field["normalizers"].Items().SelectMany(ReadSteps);
            case "NFC":
                return [(new NormalizerStep(type.Text()), NormalizationFormC.Normalize)];
            case "Prepend":
                var prefix = field["prepend"].Text();
                return [(new NormalizerStep(type.Text(), Content: prefix), text => text.Length == 0 ? text : prefix + text)];
            case "Replace":
                var pattern = field["pattern"];
                return [(new NormalizerStep(type.Text(), (pattern.Find("String") ?? pattern["Regex"]).Text(), field["content"].Text()), Replacement(field))];
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
