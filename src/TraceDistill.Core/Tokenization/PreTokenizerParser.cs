using System.Text.RegularExpressions;

namespace TraceDistill.Core.Tokenization;

/// <summary>Builds the pre-tokenizer that the <c>pre_tokenizer</c> field describes.</summary>
static class PreTokenizerParser
{
    /// <summary>GPT-2's pattern, which ByteLevel applies on its own.</summary>
    public const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>What <c>Digits</c> with <c>individual_digits</c> cuts out.</summary>
    public const string DigitPattern = @"\p{N}";

    public static PreTokenizer Read(JsonField field)
    {
        var splitters = new List<ISplitter>();
        var addPrefixSpace = false;
        var byteLevel = false;
        foreach (var step in Flatten(field))
        {
            var type = step["type"];
            if (byteLevel)
                throw type.Unsupported($"a {type.Text()} step after ByteLevel");
            switch (type.Text())
            {
                case "Split":
                    splitters.Add(ReadSplit(step));
                    break;
                case "Digits":
                    splitters.Add(Splitter(type, step.Boolean("individual_digits", absent: false) ? DigitPattern : @"\p{N}+"));
                    break;
                case "ByteLevel":
                    byteLevel = true;
                    addPrefixSpace = step.Boolean("add_prefix_space", absent: true);
                    if (addPrefixSpace && splitters.Count > 0)
                        throw step["add_prefix_space"].Unsupported("true after another step");
                    if (step.Boolean("use_regex", absent: true))
                        splitters.Add(Splitter(type, Gpt2Pattern));
                    break;
                default:
                    throw type.Unsupported($"a {type.Text()} pre-tokenizer");
            }
        }

        return byteLevel ? new PreTokenizer(splitters, addPrefixSpace) : throw field.Unsupported("a pre-tokenizer without ByteLevel");
    }

    static IEnumerable<JsonField> Flatten(JsonField field) =>
        field["type"].Text() == "Sequence" ? field["pretokenizers"].Items().SelectMany(Flatten) : [field];

    static RegexSplitter ReadSplit(JsonField step)
    {
        var pattern = step["pattern"];
        var text = pattern.Find("Regex") is { } regex ? regex.Text() : Regex.Escape(pattern["String"].Text());
        var inverted = step.Boolean("invert", absent: false);
        var behavior = step["behavior"];
        return behavior.Text() switch
        {
            "Isolated" => Splitter(pattern, text),
            "Removed" => Splitter(pattern, text, keepMatches: inverted, keepGaps: !inverted),
            var other => throw behavior.Unsupported($"the behavior {other}"),
        };
    }

    static RegexSplitter Splitter(JsonField pattern, string text, bool keepMatches = true, bool keepGaps = true)
    {
        try
        {
            return new RegexSplitter(ToDotNet(text), keepMatches, keepGaps);
        }
        catch (ArgumentException malformed)
        {
            throw pattern.Unsupported($"the regular expression ({malformed.Message})");
        }
    }

    /// <summary>
    /// Hugging Face's engine folds case as Unicode does, where <c>s</c> also stands for <c>ſ</c>; .NET's does not. The only such letter of
    /// the contractions that patterns list as <c>(?i:'s|'t|…)</c>.
    /// </summary>
    static string ToDotNet(string pattern) => Regex.Replace(pattern, @"(?<=\(\?i:[^()\[\]\\]*)s(?=[^()\[\]\\]*\))", "[sſ]");
}
