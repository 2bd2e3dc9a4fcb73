using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Tokenizers.Patterns;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Text.Tokenizers.Unicode;

namespace TraceDistill.Text.Tokenizers.Normalizers;

/// <summary>One step of a normalizer.</summary>
/// <param name="Type">Its name in tokenizer.json, such as <c>NFC</c>, <c>Prepend</c> or <c>Replace</c>.</param>
/// <param name="Pattern">Text or expression that <c>Replace</c> looks for.</param>
/// <param name="Content">Text that comes before the input or in the place of <paramref name="Pattern"/>.</param>
/// <param name="IsRegex">True where <paramref name="Pattern"/> is a regular expression.</param>
public sealed record NormalizerStep(string Type, string? Pattern = null, string? Content = null, bool IsRegex = false);

/// <summary>Changes to text before it is cut: the <c>normalizer</c> field of tokenizer.json.</summary>
sealed class TextNormalizer
{
    /// <summary>Characters that one may become: eighteen at most in Unicode's own normal forms.</summary>
    const int MostGrowth = 64;

    const string ByteLevel = "ByteLevel";

    /// <summary>Most that a step may put into a text of any length.</summary>
    const long MostMade = 1 << 26;

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

    /// <summary>True where something is put before a text.</summary>
    public bool Prepends => _steps.Any(step => step.Step.Type == "Prepend");

    /// <summary>The same for text that stands within another.</summary>
    public TextNormalizer WithoutPrepending() =>
        Prepends ? new TextNormalizer([.. _steps.Where(step => step.Step.Type != "Prepend")]) : this;

    /// <summary>True where text is spelled in <see cref="ByteLevelAlphabet"/> after the last step.</summary>
    public bool SpellsBytes => _steps is [.., { Step.Type: ByteLevel }];

    public static TextNormalizer Read(JsonField? field)
    {
        var normalizer = new TextNormalizer(field is { } steps ? [.. ReadSteps(steps)] : []);
        return normalizer._steps.SkipLast(1).Any(step => step.Step.Type == ByteLevel)
            ? throw field!.Value.Unsupported("a step after ByteLevel")
            : normalizer;
    }

    /// <param name="text">A stretch of text.</param>
    /// <param name="alignment">Records what was changed; null where that is not wanted.</param>
    public string Normalize(string text, TextAlignment? alignment = null)
    {
        var most = MostCharacters(text.Length);
        foreach (var (_, apply) in _steps)
        {
            text = apply(text, alignment);
            if (text.Length > most)
            {
                throw new InvalidInputException(
                    $"tokenizer.json: normalizer: its steps make {text.Length:N0} characters "
                        + $"of fewer than {most / MostGrowth:N0}; fetch the file from its publisher"
                );
            }
        }

        return text;
    }

    /// <summary>
    /// As <see cref="Normalize(string, TextAlignment?)"/> for a part of a text that is not
    /// empty, which is copied only where there is something to do.
    /// </summary>
    /// <param name="buffer">May receive the result, which lasts as long as its content does.</param>
    public ReadOnlySpan<char> Normalize(string text, int start, int end, TextAlignment? alignment, List<char> buffer)
    {
        var part = text.AsSpan(start, end - start);
        if (_steps.Count == 0)
        {
            return part;
        }
        if (alignment is not null || _inPlace is null)
        {
            return Normalize(part.ToString(), alignment);
        }
        buffer.Clear();
        buffer.AddRange(part);
        foreach (var apply in _inPlace)
        {
            apply(buffer);
        }
        return CollectionsMarshal.AsSpan(buffer);
    }

    static Action<List<char>>? InPlace(NormalizerStep step) =>
        step switch
        {
            { Type: ByteLevel } => _ => { },
            { Type: "Prepend", Content: { } prefix } => text => text.InsertRange(0, prefix.AsSpan()),
            { Type: "Replace", IsRegex: false, Pattern: [var wanted], Content: [var content] } => text =>
                CollectionsMarshal.AsSpan(text).Replace(wanted, content),
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
                return [(new NormalizerStep(type.Text()), UnicodeNormalization.ToFormC)];
            case "NFD":
                return [(new NormalizerStep(type.Text()), UnicodeNormalization.ToFormD)];
            case "NFKC":
                return [(new NormalizerStep(type.Text()), UnicodeNormalization.ToFormKC)];
            case "NFKD":
                return [(new NormalizerStep(type.Text()), UnicodeNormalization.ToFormKD)];
            case "Lowercase":
                return [(new NormalizerStep(type.Text()), CharacterChanges.Lowercase)];
            case "StripAccents":
                return [(new NormalizerStep(type.Text()), CharacterChanges.StripAccents)];
            case "Strip":
                return
                [
                    (
                        new NormalizerStep(type.Text()),
                        CharacterChanges.Strip(field.Boolean("strip_left", absent: true), field.Boolean("strip_right", absent: true))
                    ),
                ];
            case "Nmt":
                return [(new NormalizerStep(type.Text()), CharacterChanges.Nmt)];
            case "Precompiled":
                return [(new NormalizerStep(type.Text()), ReadMap(field["precompiled_charsmap"]).Apply)];
            case ByteLevel:
                // The text stays as it is: the pre-tokenizer spells it, so that offsets within characters are kept.
                return [(new NormalizerStep(type.Text()), (text, _) => text)];
            case "BertNormalizer":
                return [.. ReadBert(field).Select(change => (new NormalizerStep(type.Text()), change))];
            case "Prepend":
                var prefix = field["prepend"].Text();
                return [(new NormalizerStep(type.Text(), Content: prefix), Prepending(prefix))];
            case "Replace":
                var pattern = field["pattern"];
                return
                [
                    (
                        new NormalizerStep(
                            type.Text(),
                            (pattern.Find("String") ?? pattern["Regex"]).Text(),
                            field["content"].Text(),
                            IsRegex: pattern.Find("Regex") is not null
                        ),
                        Replacement(field)
                    ),
                ];
            default:
                throw type.Unsupported($"a {type.Text()} normalizer");
        }
    }

    /// <summary>Some more for what comes before a text.</summary>
    static long MostCharacters(int length) => (length + 16L) * MostGrowth;

    static PrecompiledMap ReadMap(JsonField field)
    {
        try
        {
            return new PrecompiledMap(Convert.FromBase64String(field.Text()));
        }
        catch (FormatException malformed)
        {
            throw field.Wrong($"a character map of SentencePiece's in base64 ({malformed.Message})");
        }
    }

    static IEnumerable<TextChange> ReadBert(JsonField field)
    {
        var lowercase = field.Boolean("lowercase", absent: true);
        if (field.Boolean("clean_text", absent: true))
        {
            yield return CharacterChanges.BertClean;
        }
        if (field.Boolean("handle_chinese_chars", absent: true))
        {
            yield return CharacterChanges.BertSpaceChinese;
        }
        if (field.Boolean("strip_accents", absent: lowercase))
        {
            yield return UnicodeNormalization.ToFormD;
            yield return CharacterChanges.BertStripAccents;
        }

        if (lowercase)
        {
            yield return CharacterChanges.Lowercase;
        }
    }

    static TextChange Prepending(string prefix) =>
        (text, alignment) =>
        {
            if (text.Length == 0)
            {
                return text;
            }
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
            var place = field.Place;
            return wanted.Length == 0
                ? throw pattern.Wrong("text to look for")
                : (text, alignment) =>
                {
                    RefuseGrowth(place, text, content, content.Length <= wanted.Length ? 0 : Occurrences(text, wanted).LongCount());
                    alignment?.Replace(Occurrences(text, wanted), content);
                    return text.Replace(wanted, content, StringComparison.Ordinal);
                };
        }

        try
        {
            var (compiled, origin) = (new CharacterRegex(regex.Text()), pattern.Place);
            return (text, alignment) =>
            {
                List<Piece> matches;
                try
                {
                    matches = compiled.Matches(text);
                }
                catch (RegexMatchTimeoutException slow)
                {
                    throw FilePattern.TooSlow(origin, regex.Text(), text.Length, slow);
                }

                RefuseGrowth(origin, text, content, content.Length <= 1 ? 0 : matches.Count);
                alignment?.Replace(matches, content);
                var (replaced, end) = (new StringBuilder(text.Length), 0);
                foreach (var match in matches)
                {
                    replaced.Append(text, end, match.Start - end).Append(content);
                    end = match.Start + match.Length;
                }

                return replaced.Append(text, end, text.Length - end).ToString();
            };
        }
        catch (ArgumentException malformed)
        {
            throw pattern.Unsupported($"the regular expression ({malformed.Message})");
        }
    }

    /// <summary>Before it is made: a short text and a long replacement can come to any size.</summary>
    static void RefuseGrowth(string origin, string text, string content, long count)
    {
        if (count * content.Length > Math.Min(MostCharacters(text.Length), MostMade))
        {
            throw new InvalidInputException(
                $"{origin}: makes {count * content.Length:N0} characters of {text.Length:N0}; fetch the file from its publisher"
            );
        }
    }

    static IEnumerable<Piece> Occurrences(string text, string wanted)
    {
        for (
            var at = text.IndexOf(wanted, StringComparison.Ordinal);
            at >= 0;
            at = text.IndexOf(wanted, at + wanted.Length, StringComparison.Ordinal)
        )
        {
            yield return new Piece(at, wanted.Length);
        }
    }
}

/// <summary>Changes a text, and tells the alignment, where it is wanted, what was changed.</summary>
delegate string TextChange(string text, TextAlignment? alignment);
