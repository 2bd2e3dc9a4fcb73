using System.Diagnostics.CodeAnalysis;

namespace TraceDistill.Inference.Kernels;

/// <summary>
/// The pages of a key/value cache that sequences rent and return, so that memory is bounded
/// and never fragments. For one thread at a time, which <see cref="SequenceQueue"/> sees to.
/// </summary>
/// <param name="count">Pages.</param>
sealed class PagePool(int count)
{
    /// <summary>Positions in a page: the lanes of one 512-bit vector.</summary>
    public const int PageTokens = 16;

    readonly Stack<int> _free = new(Enumerable.Range(0, count).Reverse());

    public int Count => count;

    public static int PagesFor(int tokens) => (int)(((long)tokens + PageTokens - 1) / PageTokens);

    /// <summary>Returns the number of pages that fit into a cache; at least one, and as many as its longest sequence takes.</summary>
    public static int CountFor(long cacheBytes, int longestSequence, long pageBytes) =>
        (int)long.Clamp(cacheBytes / pageBytes, Math.Max(1, PagesFor(longestSequence)), int.MaxValue / PageTokens);

    /// <summary>Rents room for a sequence's whole possible length, so that a running sequence can never run out.</summary>
    public bool TryRent(int tokens, [NotNullWhen(true)] out int[]? pages)
    {
        var wanted = PagesFor(tokens);
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
}
