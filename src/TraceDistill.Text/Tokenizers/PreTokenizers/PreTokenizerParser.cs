using System.Text.RegularExpressions;
using TraceDistill.Text.Files;

namespace TraceDistill.Text.Tokenizers.PreTokenizers;

/// <summary>Builds the pre-tokenizer that the <c>pre_tokenizer</c> field describes.</summary>
static class PreTokenizerParser
{
    /// <summary>Pattern that <c>Digits</c> with <c>individual_digits</c> cuts out.</summary>
    public const string DigitPattern = @"\p{N}";

    /// <summary>Pattern that <c>Punctuation</c> cuts out: Unicode's, and ASCII's signs that Unicode calls symbols.</summary>
    const string PunctuationPattern = @"[\p{P}$+<=>^`|~]";

    /// <summary>Pattern that <c>Whitespace</c> keeps: words, and runs of other signs.</summary>
    const string WordPattern =
        @"[\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\u200C\u200D\u24B6-\u24E9\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}]+"
        + @"|[^\p{L}\p{M}\p{Nl}\p{Nd}\p{Pc}\u200C\u200D\u24B6-\u24E9\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}\s]+";

    /// <param name="field">Null where text is not cut at all, which a byte-level vocabulary does not allow.</param>
    /// <param name="isByteLevel">True where the vocabulary is spelled in bytes, which wants a ByteLevel step.</param>
    /// <param name="isSpelled">True where the normalizer has one.</param>
    public static PreTokenizer Read(JsonField? field, bool isByteLevel, bool isSpelled)
    {
        List<ISplitter> splitters = [],
            spelledSplitters = [];
        var (addPrefixSpace, hasByteLevel, metaspace) = (false, isSpelled, default(Metaspace));
        foreach (var step in field is { } all ? Flatten(all) : [])
        {
            var type = step["type"];
            switch (type.Text())
            {
                case "ByteLevel" when isByteLevel && !hasByteLevel:
                    hasByteLevel = true;
                    addPrefixSpace = step.Boolean("add_prefix_space", absent: true);
                    if (addPrefixSpace && splitters.Count > 0)
                    {
                        throw step["add_prefix_space"].Unsupported("true after another step");
                    }
                    if (step.Boolean("use_regex", absent: true))
                    {
                        splitters.Add(Splitter(type, WordSplitter.Gpt2Pattern));
                    }
                    break;
                case "Metaspace" when !isByteLevel && splitters.Count == 0 && metaspace is null:
                    metaspace = ReadMetaspace(step, splitters);
                    break;
                default:
                    var added = ReadSplitters(step, type).ToList();
                    if (hasByteLevel && added.Any(splitter => splitter.Rule.Behavior == SplitBehavior.Removed))
                    {
                        throw type.Unsupported($"a {type.Text()} step after ByteLevel that removes text");
                    }
                    (hasByteLevel ? spelledSplitters : splitters).AddRange(added);
                    break;
            }
        }

        if (isByteLevel && !hasByteLevel)
        {
            throw field!.Value.Unsupported("a pre-tokenizer without ByteLevel");
        }
        var preTokenizer = new PreTokenizer(splitters, addPrefixSpace, metaspace, spelledSplitters);
        try
        {
            preTokenizer.Ensure();
        }
        catch (ArgumentException indistinct)
        {
            throw field!.Value.Unsupported($"the regular expression ({indistinct.Message})");
        }

        return preTokenizer;
    }

    /// <summary>The steps that cut text, whatever it is spelled in.</summary>
    static IEnumerable<ISplitter> ReadSplitters(JsonField step, JsonField type) =>
        type.Text() switch
        {
            "Split" => [ReadSplit(step)],
            "Digits" => [Splitter(type, step.Boolean("individual_digits", absent: false) ? DigitPattern : @"\p{N}+")],
            "Punctuation" =>
            [
                Splitter(type, PunctuationPattern, step.Find("behavior") is { } behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated),
            ],
            "Whitespace" => [Splitter(type, WordPattern, SplitBehavior.Removed, isInverted: true)],
            "WhitespaceSplit" => [Splitter(type, @"\s", SplitBehavior.Removed)],
            "BertPreTokenizer" => [Splitter(type, @"\s", SplitBehavior.Removed), Splitter(type, PunctuationPattern)],
            "CharDelimiterSplit" => [Splitter(step["delimiter"], Regex.Escape(step["delimiter"].Text()), SplitBehavior.Removed)],
            "FixedLength" => [Splitter(type, $@"[\s\S]{{1,{step["length"].Integer()}}}")],
            _ => throw type.Unsupported($"a {type.Text()} pre-tokenizer here"),
        };

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
        {
            throw step["prepend_scheme"].Wrong("\"always\", \"first\" or \"never\"");
        }
        if (step.Boolean("split", absent: true))
        {
            splitters.Add(new RegexSplitter(Regex.Escape($"{mark}"), SplitBehavior.MergedWithNext));
        }
        return new Metaspace(mark, prepends);
    }

    static ISplitter Splitter(JsonField pattern, string text, SplitBehavior behavior = SplitBehavior.Isolated, bool isInverted = false)
    {
        // The patterns of words match all there is: what lies between matches is nothing, and may be removed.
        if (
            (behavior == SplitBehavior.Isolated || (behavior == SplitBehavior.Removed && isInverted)) && WordSplitter.For(text) is { } words
        )
        {
            return words;
        }
        try
        {
            return new RegexSplitter(text, behavior, isInverted) { Origin = pattern.Place };
        }
        catch (ArgumentException malformed)
        {
            throw pattern.Unsupported($"the regular expression ({malformed.Message})");
        }
    }
}
