using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TraceDistill.Core.Tokenization.Unicode;

namespace TraceDistill.Core.Tokenization;

/// <summary>One step of a normalizer.</summary>
/// <param name="Type"><c>NFC</c>, <c>Prepend</c> or <c>Replace</c>.</param>
/// <param name="Pattern">What <c>Replace</c> looks for.</param>
/// <param name="Content">What comes before the text or in the place of <paramref name="Pattern"/>.</param>
/// <param name="IsRegex">Whether <paramref name="Pattern"/> is a regular expression.</param>
public sealed record NormalizerStep(string Type, string? Pattern = null, string? Content = null, bool IsRegex = false);

/// <summary>What text goes through before it is cut: the <c>normalizer</c> field of tokenizer.json.</summary>
sealed class TextNormalizer
{
    readonly IReadOnlyList<(NormalizerStep Step, TextChange Apply)> _steps;

    /// <summary>The steps in place, without an allocation; null where one of them cannot be made so.</summary>
    readonly Action<List<char>>[]? _inPlace;

    TextNormalizer(IReadOnlyList<(NormalizerStep Step, TextChange)> steps)
    {
        _steps = steps;
        Action<List<char>>[] inPlace = [.. steps.Select(step => InPlace(step.Step)).OfType<Action<List<char>>>()];
        _inPlace = inPlace.Length == steps.Count ? inPlace : null;
    }

    /// <summary>As tokenizer.json has them.</summary>
    public IReadOnlyList<NormalizerStep> Steps => [.. _steps.Select(step => step.Step)];

    public static TextNormalizer Read(JsonField? field) => new(field is { } normalizer ? [.. ReadSteps(normalizer)] : []);

    /// <param name="text">A stretch of text.</param>
    /// <param name="alignment">Is told what was changed, where it is wanted.</param>
    public string Normalize(string text, TextAlignment? alignment = null)
    {
        foreach (var (_, apply) in _steps)
            text = apply(text, alignment);
        return text;
    }

    /// <summary>As <see cref="Normalize(string, TextAlignment?)"/> for a part of a text that is not empty, which is copied only where there is something to do.</summary>
    /// <param name="buffer">May receive the result, which lasts as long as its content does.</param>
    public ReadOnlySpan<char> Normalize(string text, int start, int end, TextAlignment? alignment, List<char> buffer)
    {
        var part = text.AsSpan(start, end - start);
        if (_steps.Count == 0)
            return part;
        if (alignment is not null || _inPlace is null)
            return Normalize(part.ToString(), alignment);
        buffer.Clear();
        buffer.AddRange(part);
        foreach (var apply in _inPlace)
            apply(buffer);
        return CollectionsMarshal.AsSpan(buffer);
    }

    static Action<List<char>>? InPlace(NormalizerStep step) => step switch
    {
        { Type: "Prepend", Content: { } prefix } => text => text.InsertRange(0, prefix.AsSpan()),
        { Type: "Replace", IsRegex: false, Pattern: [var wanted], Content: [var content] } => text => CollectionsMarshal.AsSpan(text).Replace(wanted, content),
        _ => null,
    };

    static IEnumerable<(NormalizerStep, TextChange)> ReadSteps(JsonField field)
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
                return [(new NormalizerStep(type.Text(), Content: prefix), Prepending(prefix))];
            case "Replace":
                var pattern = field["pattern"];
                return [(new NormalizerStep(type.Text(), (pattern.Find("String") ?? pattern["Regex"]).Text(), field["content"].Text(), IsRegex: pattern.Find("Regex") is not null), Replacement(field))];
            default:
                throw type.Unsupported($"a {type.Text()} normalizer");
        }
    }

    static TextChange Prepending(string prefix) => (text, alignment) =>
    {
        if (text.Length == 0)
            return text;
        alignment?.Prepend(prefix.Length);
        return prefix + text;
    };

    /// <summary><c>Replace</c>, which is a normalizer and a decoder.</summary>
    public static TextChange Replacement(JsonField field)
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
delegate string TextChange(string text, TextAlignment? alignment);
