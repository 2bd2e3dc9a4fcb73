using System.Text;
using TraceDistill.Text.Hosting;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Has Hugging Face's tokenizers apply the rules.</summary>
/// <param name="tokenizer">Runs them.</param>
/// <param name="file">The file it was loaded from, for messages.</param>
sealed class HostedCoder(HostedTokenizer tokenizer, string file) : ITextCoder
{
    /// <summary>Texts that go to the process together.</summary>
    const int Batch = 4096;

    public bool Prepends => tokenizer.Prepends;

    public bool HasExactBytes => tokenizer.HasExactBytes;

    public void Encode(string text, List<int> ids, bool addSpecialTokens) => ids.AddRange(Encode(text, addSpecialTokens));

    public TokenizedText? EncodeWithSpans(string text, bool addSpecialTokens)
    {
        var ids = Encode(text, addSpecialTokens);
        var plain = addSpecialTokens ? Encode(text, addSpecialTokens: false) : ids;
        var first = ids.AsSpan().IndexOf(plain);
        var spans = first < 0 ? null : TokenPlacement.Find(text, plain, tokenizer.Vocabulary, tokenizer.UnknownId);
        if (spans is null)
        {
            return null;
        }

        var length = Encoding.UTF8.GetByteCount(text);
        spans =
        [
            .. Enumerable.Repeat(default(TextSpan), first),
            .. spans,
            .. Enumerable.Repeat(new TextSpan(length, length), ids.Length - plain.Length - first),
        ];
        return new TokenizedText
        {
            Ids = ids,
            ByteSpans = spans,
            Offsets = CharactersOf(text, spans),
        };
    }

    public int[][] EncodeWithin(IReadOnlyList<string> texts) =>
        [.. texts.Chunk(Batch).SelectMany(batch => tokenizer.Encode(file, Prepends ? TokenizerForm.Within : TokenizerForm.Plain, batch))];

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens) =>
        tokenizer.Decode(file, skipSpecialTokens ? TokenizerForm.Published : TokenizerForm.Plain, [ids.ToArray()])[0];

    int[] Encode(string text, bool addSpecialTokens) =>
        tokenizer.Encode(file, addSpecialTokens ? TokenizerForm.Published : TokenizerForm.Plain, [text])[0];

    /// <summary>The whole characters that spans of bytes touch.</summary>
    static TextSpan[] CharactersOf(string text, IReadOnlyList<TextSpan> spans)
    {
        // For each byte the character that it is of.
        List<int> characters = [];
        foreach (var (index, rune) in text.EnumerateRunes().Index())
        {
            characters.AddRange(Enumerable.Repeat(index, rune.Utf8SequenceLength));
        }

        return
        [
            .. spans.Select(span => span.End > span.Start ? new TextSpan(characters[span.Start], characters[span.End - 1] + 1) : default),
        ];
    }
}
