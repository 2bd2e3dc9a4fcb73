using System.Text.RegularExpressions;

namespace TraceDistill.Core.Tokenization;

/// <summary>Builds the pre-tokenizer that the <c>pre_tokenizer</c> field describes.</summary>
static class PreTokenizerParser
{
    /// <summary>What <c>Digits</c> with <c>individual_digits</c> cuts out.</summary>
    public const string DigitPattern = @"\p{N}";

    /// <summary>What <c>Punctuation</c> cuts out: Unicode's, and ASCII's signs that Unicode calls symbols.</summary>
    const string PunctuationPattern = @"[\p{P}$+<=>^`|~]";

    /// <param name="field">Null where text is not cut at all, which a byte-level vocabulary does not allow.</param>
    /// <param name="isByteLevel">Whether the vocabulary is spelled in bytes, which wants a ByteLevel step at the end.</param>
    public static PreTokenizer Read(JsonField? field, bool isByteLevel)
    {
        var splitters = new List<ISplitter>();
        var (addPrefixSpace, hasByteLevel, metaspace) = (false, false, default(Metaspace));
        foreach (var step in field is { } all ? Flatten(all) : [])
        {
            var type = step["type"];
            if (hasByteLevel)
                throw type.Unsupported($"a {type.Text()} step after ByteLevel");
            switch (type.Text())
            {
                case "Split":
                    splitters.Add(ReadSplit(step));
                    break;
                case "Digits":
                    splitters.Add(Splitter(type, step.Boolean("individual_digits", absent: false) ? DigitPattern : @"\p{N}+"));
                    break;
                case "Punctuation":
                    splitters.Add(Splitter(type, PunctuationPattern, step.Find("behavior") is { } behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated));
                    break;
                case "ByteLevel" when isByteLevel:
                    hasByteLevel = true;
                    addPrefixSpace = step.Boolean("add_prefix_space", absent: true);
                    if (addPrefixSpace && splitters.Count > 0)
                        throw step["add_prefix_space"].Unsupported("true after another step");
                    if (step.Boolean("use_regex", absent: true))
                        splitters.Add(Splitter(type, WordSplitter.Gpt2Pattern));
                    break;
                case "Metaspace" when !isByteLevel && splitters.Count == 0 && metaspace is null:
                    metaspace = ReadMetaspace(step, splitters);
                    break;
                default:
                    throw type.Unsupported($"a {type.Text()} pre-tokenizer here");
            }
        }

        if (isByteLevel && !hasByteLevel)
            throw field!.Value.Unsupported("a pre-tokenizer without ByteLevel");
        return new PreTokenizer(splitters, addPrefixSpace, metaspace);
    }

    static IEnumerable<JsonField> Flatten(JsonField field) =>
        field["type"].Text() == "Sequence" ? field["pretokenizers"].Items().SelectMany(Flatten) : [field];

    static ISplitter ReadSplit(JsonField step)
    {
        var pattern = step["pattern"];
        var text = pattern.Find("Regex") is { } regex ? regex.Text() : Regex.Escape(pattern["String"].Text());
        return Splitter(pattern, text, ReadBehavior(step["behavior"]), step.Boolean("invert", absent: false));
    }

    static SplitBehavior ReadBehavior(JsonField field) =>
        Enum.TryParse<SplitBehavior>(field.Text(), out var known) ? known : throw field.Unsupported($"the behavior {field.Text()}");

    /// <summary>Older files say <c>add_prefix_space</c>, newer ones <c>prepend_scheme</c>.</summary>
    static Metaspace ReadMetaspace(JsonField step, List<ISplitter> splitters)
    {
        var mark = step["replacement"].Text() is [var only] ? only : throw step["replacement"].Wrong("one character");
        var scheme = step.Find("prepend_scheme")?.Text() ?? (step.Boolean("add_prefix_space", absent: true) ? "always" : "never");
        if (!Enum.TryParse<MetaspacePrepending>(scheme, ignoreCase: true, out var prepends))
            throw step["prepend_scheme"].Wrong("\"always\", \"first\" or \"never\"");
        if (step.Boolean("split", absent: true))
            splitters.Add(new RegexSplitter(Regex.Escape($"{mark}"), SplitBehavior.MergedWithNext));
        return new Metaspace(mark, prepends);
    }

    static ISplitter Splitter(JsonField pattern, string text, SplitBehavior behavior = SplitBehavior.Isolated, bool isInverted = false)
    {
        // The patterns of words match all there is: what lies between matches is nothing, and may be removed.
        if ((behavior == SplitBehavior.Isolated || (behavior == SplitBehavior.Removed && isInverted)) && WordSplitter.For(text) is { } words)
            return words;
        try
        {
            return new RegexSplitter(ToDotNet(text), behavior, isInverted) { Origin = pattern.Place, Rule = new SplitRule(text, behavior, isInverted) };
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
    static string ToDotNet(string pattern) => Regex.Replace(pattern, @"(?<=\(\?i:[^()\[\]\\]*)s(?=[^()\[\]\\]*\))", "[sſ]", RegexOptions.None, TimeSpan.FromSeconds(10));
}
