using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace TraceDistill.Training.Optimization;

// R = the larger side of a matrix, C = the smaller, P = C padded to whole vectors; the padding is zero and stays so

/// <summary>
/// Brings all singular values of a matrix near 1 and keeps its singular vectors: X ← X·(aI + bA + cA²), A = XᵀX, five times from
/// X / ‖X‖ on, with a = 3.4445, b = −4.7750, c = 2.0315 (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024).
/// </summary>
/// <remarks>
/// Two of a step's three products are symmetric: libtorch makes them whole, the kernel half. The choice between
/// the two goes by the matrix's size alone, so that neither processor nor number of workers changes a bit.
/// A wide matrix is worked on as its transpose. Holds the kernel's scratch memory; one object serves one thread.
/// </remarks>
sealed class NewtonSchulz : IDisposable
{
    const int Steps = 5;

    /// <summary>
    /// Smaller side up to which the kernel is faster for a layer's usual matrices (benchmark <c>kernels</c>). Past it, blocking
    /// products for the cache, as libtorch does, saves more than half of a symmetric one.
    /// </summary>
    const int MostColumns = 768;

    /// <summary>Rows of a symmetric product that are made together: few enough to leave out most of what mirrors.</summary>
    const int BlockRows = 32;
    const float A = 3.4445f,
        B = -4.7750f,
        C = 2.0315f;
    readonly FloatBuffer _x,
        _next,
        _gram,
        _polynomial;

    /// <param name="shapes">[rows, columns] of every matrix that will be given to the kernel.</param>
    public NewtonSchulz(IReadOnlyCollection<long[]> shapes)
    {
        var tall = shapes.Select(shape => shape.Max() * SimdMath.Pad((int)shape.Min())).DefaultIfEmpty(0).Max();
        var square = shapes.Select(shape => SimdMath.Pad((int)shape.Min()) is var side ? (long)side * side : 0).DefaultIfEmpty(0).Max();
        _x = new FloatBuffer(tall);
        _next = new FloatBuffer(tall);
        _gram = new FloatBuffer(square);
        _polynomial = new FloatBuffer(square);
    }

    /// <summary>Returns whether the kernel is to orthogonalise a matrix, rather than libtorch's operations.</summary>
    /// <param name="shape">[rows, columns].</param>
    public static bool TakesKernel(long[] shape) => shape.Min() <= MostColumns;

    /// <summary>Replaces a matrix by its orthogonalised form, singular values between about 0.7 and 1.2.</summary>
    /// <param name="matrix">[rows, columns].</param>
    public void Orthogonalize(Span<float> matrix, int rows, int columns)
    {
        int r = Math.Max(rows, columns),
            c = Math.Min(rows, columns),
            p = SimdMath.Pad(c);
        var norm = MathF.Sqrt(TensorPrimitives.SumOfSquares<float>(matrix)) + 1e-7f;
        TensorPrimitives.Divide(matrix, norm, matrix);
        Load(matrix, rows, columns, p);
        Span<float> x = _x.Span,
            next = _next.Span,
            gram = _gram.Span,
            polynomial = _polynomial.Span;
        for (var step = 0; step < Steps; step++)
        {
            Square(x, r, gram, p); // A = XᵀX                [P, P]
            Square(gram, p, polynomial, p); // A² = AᵀA               [P, P]
            Combine(p); // aI + bA + cA²          [P, P]
            MatrixKernel.Multiply(x, p, 1, polynomial, p, next, p, r, p, p, false); // X·(aI + bA + cA²)      [R, P]
            var done = x;
            x = next;
            next = done;
        }

        Store(x, matrix, rows, columns, p);
    }

    /// <summary>The same in libtorch's operations.</summary>
    /// <param name="matrix">[rows, columns] of float32 on any device; left as it is.</param>
    public static Tensor Orthogonalize(Tensor matrix)
    {
        using var scope = NewDisposeScope();
        var isWide = matrix.shape[0] < matrix.shape[1];
        var x = isWide ? matrix.t() : matrix;
        x = x / x.norm().Plus(1e-7);
        for (var step = 0; step < Steps; step++)
        {
            var gram = x.t().matmul(x);
            x = x.Times(A).Add(x.matmul(gram.Times(B).Add(gram.matmul(gram).Scale(C))));
        }

        return (isWide ? x.t() : x).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _x.Dispose();
        _next.Dispose();
        _gram.Dispose();
        _polynomial.Dispose();
    }

    /// <summary>C ← MᵀM: blocks of rows from the diagonal on, mirrored.</summary>
    /// <param name="m">[k, p].</param>
    static void Square(ReadOnlySpan<float> m, int k, Span<float> c, int p)
    {
        for (var first = 0; first < p; first += BlockRows)
        {
            var count = Math.Min(BlockRows, p - first);
            MatrixKernel.Multiply(m[first..], 1, p, m[first..], p, c[(first * p + first)..], p, count, p - first, k, false);
            for (var i = first; i < first + count; i++)
            {
                for (var j = first + count; j < p; j++)
                {
                    c[j * p + i] = c[i * p + j];
                }
            }
        }
    }

    void Combine(int p)
    {
        var polynomial = _polynomial.Span[..(p * p)];
        TensorPrimitives.Multiply(polynomial, C, polynomial);
        TensorPrimitives.MultiplyAdd(_gram.Span[..(p * p)], B, polynomial, polynomial);
        for (var i = 0; i < p; i++)
        {
            polynomial[i * p + i] += A;
        }
    }

    void Load(ReadOnlySpan<float> matrix, int rows, int columns, int p)
    {
        var x = _x.Span[..(Math.Max(rows, columns) * p)];
        x.Clear();
        for (var row = 0; row < rows; row++)
        {
            var values = matrix.Slice(row * columns, columns);
            if (rows >= columns)
            {
                values.CopyTo(x[(row * p)..]);
                continue;
            }

            for (var column = 0; column < columns; column++)
            {
                x[column * p + row] = values[column];
            }
        }
    }

    static void Store(ReadOnlySpan<float> x, Span<float> matrix, int rows, int columns, int p)
    {
        for (var row = 0; row < rows; row++)
        {
            var values = matrix.Slice(row * columns, columns);
            if (rows >= columns)
            {
                x.Slice(row * p, columns).CopyTo(values);
                continue;
            }

            for (var column = 0; column < columns; column++)
            {
                values[column] = x[column * p + row];
            }
        }
    }
}
