using System.Buffers;
using System.Numerics.Tensors;

namespace TraceDistill.Models.Adapters;

// r = rank, C = outputs, K = inputs

/// <summary>Rows of W₀ + s·B·A in float64, one at a time: the whole matrix never exists.</summary>
static class LoraRows
{
    /// <summary>Gives a row of W₀, [K].</summary>
    public delegate void Reader(int row, Span<float> stored);

    /// <summary>Receives a row of the sum, [K], which may be changed.</summary>
    public delegate void Visitor(int row, Span<double> sum);

    /// <param name="a">[r, K].</param>
    /// <param name="b">[C, r].</param>
    /// <param name="rank">r.</param>
    /// <param name="scale">s.</param>
    /// <param name="first">The first row to visit.</param>
    /// <param name="count">Number of rows.</param>
    public static void Visit(
        ReadOnlySpan<float> a,
        ReadOnlySpan<float> b,
        int rank,
        double scale,
        int first,
        int count,
        Reader read,
        Visitor visit
    )
    {
        var inner = a.Length / rank;
        var wide = ArrayPool<double>.Shared.Rent(a.Length + inner);
        var narrow = ArrayPool<float>.Shared.Rent(inner);
        Span<double> factors = wide.AsSpan(0, a.Length),
            sum = wide.AsSpan(a.Length, inner);
        var stored = narrow.AsSpan(0, inner);
        TensorPrimitives.ConvertTruncating(a, factors);
        for (var row = first; row < first + count; row++)
        {
            read(row, stored);
            TensorPrimitives.ConvertTruncating<float, double>(stored, sum);
            for (var i = 0; i < rank; i++)
            {
                TensorPrimitives.MultiplyAdd(factors.Slice(i * inner, inner), scale * b[(row * rank) + i], sum, sum);
            }

            visit(row, sum);
        }

        ArrayPool<double>.Shared.Return(wide);
        ArrayPool<float>.Shared.Return(narrow);
    }

    /// <summary>A row's length under DoRA; 1 for one that is all zero, such as those of a pruned head, whose direction is none.</summary>
    public static float Norm(ReadOnlySpan<double> row) => TensorPrimitives.Norm(row) is > 0 and var norm ? (float)norm : 1;
}
