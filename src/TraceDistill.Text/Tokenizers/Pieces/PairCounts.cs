using System.Runtime.InteropServices;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>The state of BPE training: words as symbols, how often each neighbouring pair occurs, and where.</summary>
sealed class PairCounts
{
    readonly List<int>[] _words;
    readonly long[] _wordCounts;
    readonly Dictionary<(int Left, int Right), long> _counts = [];
    readonly Dictionary<(int Left, int Right), HashSet<int>> _places = [];

    /// <summary>Pairs by falling count, then rising ids. An entry whose count is outdated is put back with the right one.</summary>
    readonly PriorityQueue<(int Left, int Right), (long NegativeCount, int Left, int Right)> _queue = new();

    public PairCounts(IReadOnlyList<(int[] Symbols, long Count)> words)
    {
        _words = [.. words.Select(word => word.Symbols.ToList())];
        _wordCounts = [.. words.Select(word => word.Count)];
        for (var word = 0; word < _words.Length; word++)
        {
            for (var i = 0; i + 1 < _words[word].Count; i++)
            {
                Change((_words[word][i], _words[word][i + 1]), word, _wordCounts[word]);
            }
        }

        foreach (var (pair, count) in _counts)
        {
            Enqueue(pair, count);
        }
    }

    /// <summary>The most frequent pair, or null when none is left.</summary>
    public (int Left, int Right)? MostFrequent()
    {
        while (_queue.TryDequeue(out var pair, out var priority))
        {
            var count = _counts[pair];
            if (count <= 0)
            {
                continue;
            }
            if (count == -priority.NegativeCount)
            {
                return pair;
            }
            Enqueue(pair, count);
        }

        return null;
    }

    /// <summary>Replaces a pair by <paramref name="symbol"/> everywhere.</summary>
    public void Merge((int Left, int Right) pair, int symbol)
    {
        var grown = new HashSet<(int Left, int Right)>();
        foreach (var word in _places[pair])
        {
            MergeWord(_words[word], word, pair, symbol, grown);
        }
        _places.Remove(pair);
        _counts[pair] = 0;
        foreach (var neighbours in grown)
        {
            Enqueue(neighbours, _counts[neighbours]);
        }
    }

    void MergeWord(List<int> symbols, int word, (int Left, int Right) pair, int symbol, HashSet<(int Left, int Right)> grown)
    {
        var count = _wordCounts[word];
        for (var i = 0; i + 1 < symbols.Count; i++)
        {
            if (symbols[i] != pair.Left || symbols[i + 1] != pair.Right)
            {
                continue;
            }
            if (i > 0)
            {
                Change((symbols[i - 1], symbols[i]), word, -count);
                Grow((symbols[i - 1], symbol));
            }

            if (i + 2 < symbols.Count)
            {
                Change((symbols[i + 1], symbols[i + 2]), word, -count);
                Grow((symbol, symbols[i + 2]));
            }

            symbols[i] = symbol;
            symbols.RemoveAt(i + 1);
        }

        void Grow((int Left, int Right) neighbours)
        {
            Change(neighbours, word, count);
            grown.Add(neighbours);
        }
    }

    void Change((int Left, int Right) pair, int word, long change)
    {
        CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) += change;
        if (change <= 0)
        {
            return;
        }
        ref var places = ref CollectionsMarshal.GetValueRefOrAddDefault(_places, pair, out _);
        (places ??= []).Add(word);
    }

    void Enqueue((int Left, int Right) pair, long count) => _queue.Enqueue(pair, (-count, pair.Left, pair.Right));
}
