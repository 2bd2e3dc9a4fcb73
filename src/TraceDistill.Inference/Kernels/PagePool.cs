using System.Diagnostics.CodeAnalysis;

namespace TraceDistill.Inference.Kernels;

/// <summary>
/// The pages of a key/value cache, or of a memory of states, that sequences rent and return, so that memory is bounded
/// and never fragments. For one thread at a time, which <see cref="SequenceQueue"/> sees to.
/// </summary>
/// <param name="count">Pages.</param>
/// <param name="tokens">Tokens whose trace a page holds.</param>
sealed class PagePool(int count, int tokens = PagePool.PageTokens)
{
    /// <summary>Positions in a page of keys and values: the lanes of one 512-bit vector.</summary>
    public const int PageTokens = 16;

    /// <summary>Tokens of a page that holds a state: it stays as large as it is.</summary>
    public const int AnyLength = int.MaxValue;

    readonly Stack<int> _free = new(Enumerable.Range(0, count).Reverse());

    public int Count => count;

    /// <summary>Tokens at the start of so many that fill whole pages, which others with the same start may read.</summary>
    public int WholePages(int length) => length / tokens * tokens;

    /// <summary>Returns the number of pages that so many tokens take.</summary>
    public int PagesOf(int length) => PagesFor(length, tokens);

    /// <summary>Returns the number of pages of keys and values that so many tokens take.</summary>
    public static int PagesFor(int length) => PagesFor(length, PageTokens);

    /// <summary>
    /// Returns the number of pages of keys and values that fit into a cache; at least one, and as many as its longest sequence takes.
    /// </summary>
    public static int CountFor(long cacheBytes, int longestSequence, long pageBytes) =>
        (int)long.Clamp(cacheBytes / pageBytes, Math.Max(1, PagesFor(longestSequence)), int.MaxValue / PageTokens);

    /// <summary>Rents room for a sequence's whole possible length, so that a running sequence can never run out.</summary>
    public bool TryRent(int length, [NotNullWhen(true)] out int[]? pages)
    {
        var wanted = PagesOf(length);
        if (_free.Count < wanted)
        {
            pages = null;
            return false;
        }

        pages = new int[wanted];
        for (var i = 0; i < wanted; i++)
        {
            pages[i] = _free.Pop();
        }

        return true;
    }

    public void Return(ReadOnlySpan<int> pages)
    {
        foreach (var page in pages)
        {
            _free.Push(page);
        }
    }

    static int PagesFor(int length, int pageTokens) => (int)(((long)length + pageTokens - 1) / pageTokens);
}
