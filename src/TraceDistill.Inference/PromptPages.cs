using System.Runtime.InteropServices;

namespace TraceDistill.Inference;

/// <summary>
/// The cache pages that hold nothing but the start of a prompt. The first sequence with that prompt fills them, and those that run
/// beside it with the same one (the choices of a request, the samples of a problem) read them instead of working it out again.
/// </summary>
sealed class PromptPages(ReadOnlyMemory<int> tokens, int[] pages)
{
    /// <summary>The tokens whose keys and values the pages hold.</summary>
    public ReadOnlyMemory<int> Tokens => tokens;

    public int[] Pages => pages;

    /// <summary>Running sequences that read them.</summary>
    public int Users { get; set; } = 1;

    /// <summary>True where keys and values of all the tokens are there.</summary>
    public bool AreFilled { get; set; }

    /// <summary>Compares tokens by value.</summary>
    public sealed class TokensComparer : IEqualityComparer<ReadOnlyMemory<int>>
    {
        public bool Equals(ReadOnlyMemory<int> x, ReadOnlyMemory<int> y) => x.Span.SequenceEqual(y.Span);

        public int GetHashCode(ReadOnlyMemory<int> tokens)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(tokens.Span));
            return hash.ToHashCode();
        }
    }
}
