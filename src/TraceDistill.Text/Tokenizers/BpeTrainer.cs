using System.Runtime.InteropServices;
using System.Text;
using TraceDistill.Text.Tokenizers.Pieces;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using TraceDistill.Text.Tokenizers.Spans;

namespace TraceDistill.Text.Tokenizers;

/// <summary>
/// Learns a byte-level BPE vocabulary: the 256 bytes, then the most frequent pair again and again (ties go to the pair
/// with the smaller ids). The same corpus gives the same file, byte for byte. Text is cut as SmolLM's is (every digit
/// alone, then GPT-2's pattern), which Hugging Face's tokenizers and llama.cpp (pre-tokenizer <c>smollm</c>) both know.
/// </summary>
public static class BpeTrainer
{
    /// <summary>Trains on a corpus and writes <c>tokenizer.json</c>, as Hugging Face's tokenizers read it, into a directory.</summary>
    /// <param name="corpus">Texts; added tokens in them are not counted as text.</param>
    /// <param name="vocabularySize">
    /// Number of ids, added tokens included. A corpus with too few distinct pairs gives a smaller vocabulary.
    /// </param>
    /// <param name="added">Tokens that take the last ids, in this order.</param>
    /// <param name="directory">An existing model directory.</param>
    public static void Train(IEnumerable<string> corpus, int vocabularySize, IReadOnlyList<AddedToken> added, string directory)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 256 + added.Count);
        var pairs = new PairCounts(CountPieces(corpus, added));
        var spellings = Enumerable.Range(0, 256).Select(value => ByteLevelAlphabet.ToChar((byte)value).ToString()).ToList();
        var ids = spellings.Index().ToDictionary(token => token.Item, token => token.Index, StringComparer.Ordinal);
        var merges = new List<(int Left, int Right)>();
        while (spellings.Count + added.Count < vocabularySize && pairs.MostFrequent() is { } pair)
        {
            // Two pairs can spell the same token: a + aa and aa + a.
            var spelling = spellings[pair.Left] + spellings[pair.Right];
            if (ids.TryAdd(spelling, spellings.Count))
            {
                spellings.Add(spelling);
            }
            merges.Add(pair);
            pairs.Merge(pair, ids[spelling]);
        }

        TokenizerFileWriter.Write(Path.Combine(directory, Tokenizer.FileName), spellings, merges, added);
    }

    /// <summary>Distinct pieces as bytes with their counts, in an order that depends on the corpus alone.</summary>
    static List<(int[] Symbols, long Count)> CountPieces(IEnumerable<string> corpus, IReadOnlyList<AddedToken> added)
    {
        var splitter = new PreTokenizer(
            [new RegexSplitter(PreTokenizerParser.DigitPattern), WordSplitter.For(WordSplitter.Gpt2Pattern)!],
            false
        );
        var matcher = new AddedTokenMatcher(added.Select((token, index) => (token.Content, index, token)));
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        var pieces = new List<Piece>();
        foreach (var text in corpus)
        {
            var start = 0;
            while (matcher.Next(text, start) is { } match)
            {
                Count(text.AsSpan(start, match.Start - start));
                start = match.End;
            }

            Count(text.AsSpan(start));
        }

        return
        [
            .. counts
                .OrderBy(piece => piece.Key, StringComparer.Ordinal)
                .Select(piece => (Encoding.UTF8.GetBytes(piece.Key).Select(value => (int)value).ToArray(), piece.Value)),
        ];

        void Count(ReadOnlySpan<char> text)
        {
            if (text.IsEmpty)
            {
                return;
            }
            splitter.Split(text, pieces);
            foreach (var piece in pieces)
            {
                CollectionsMarshal.GetValueRefOrAddDefault(lookup, text.Slice(piece.Start, piece.Length), out _)++;
            }
        }
    }
}
