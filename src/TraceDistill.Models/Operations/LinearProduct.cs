using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// N = rows, C = outputs, K = inputs

/// <summary>The matrix of a linear layer: as it is trained and as products read it.</summary>
/// <param name="Weight">[C, K]. Each backward pass adds to its gradient in place, without a matrix of its own for the sum.</param>
/// <param name="Rounded">[C, K] what products read instead, in bfloat16; null for the stored one.</param>
sealed record LinearMatrix(Weight Weight, Tensor? Rounded = null)
{
    /// <summary>Two megabytes once widened: they stay in the cache from there to the product.</summary>
    const int StretchElements = 1 << 19;

    /// <summary>Multiplications of one part of a product on the CPU: some milliseconds of a core.</summary>
    const long PartMultiplications = 1 << 28;

    /// <summary>Numbers of one part of a product on other devices that is rounded before it is added: 32 megabytes.</summary>
    const long DevicePartElements = 1 << 24;

    /// <summary>Rows and columns of a part are multiples of it.</summary>
    const int PartMultiple = 128;

    /// <summary>[C, K] as it is held.</summary>
    public Tensor Stored => Weight.Stored;

    public bool IsTrained => Weight.Gradient is not null;

    /// <summary>x·Wᵀ, or residual + x·Wᵀ, in the dtype of x.</summary>
    /// <param name="x">[N, K].</param>
    /// <param name="residual">[N, C] in the dtype of x.</param>
    public Tensor Apply(Tensor x, Tensor? residual = null)
    {
        using var scope = NewDisposeScope();
        object[] arguments = [x, Stored, this];
        return Product.apply(residual is null ? arguments : [.. arguments, residual]).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// x·Wᵀ in the dtype of x by the matrix in the precision that it is held in, whatever products read; no gradient is recorded.
    /// </summary>
    /// <param name="x">[N, K].</param>
    public Tensor ApplyStored(Tensor x)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return Multiply(x, Weight.Values, null, x.shape[0], x.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Goes back through x·Wᵀ: adds dyᵀ·x to the gradient of the matrix where it is trained.</summary>
    /// <param name="dy">[N, C].</param>
    /// <param name="x">[N, K], as it is or as the product rounded it; of no use where the matrix is not trained.</param>
    /// <returns>[N, K] dy·W, in the dtype of dy: the gradient of x.</returns>
    public Tensor ApplyBack(Tensor dy, Tensor x)
    {
        using var scope = NewDisposeScope();
        return ApplyBack(dy, x, needsInput: true)!.MoveToOuterDisposeScope();
    }

    Tensor? ApplyBack(Tensor dy, Tensor x, bool needsInput)
    {
        var dtype = ProductDtype(dy);
        var slopes = Round(dy, dtype);
        if (IsTrained)
        {
            Accumulate(slopes, Round(x, dtype));
        }

        return needsInput ? MultiplyBack(slopes, dy.shape[0], dy.dtype) : null;
    }

    /// <summary>The stretches of rows that a product takes at once, in a dtype that it takes with x.</summary>
    /// <param name="dtype">Of x, or what x is rounded to.</param>
    static IEnumerable<(int First, Tensor Rows)> Stretches(Tensor matrix, ScalarType dtype)
    {
        if (matrix.dtype == dtype)
        {
            yield return (0, matrix);
            yield break;
        }

        // Other devices have no such cache, and take long to be called: 32 megabytes.
        long rows = matrix.shape[0],
            most = Math.Max(1, (matrix.device_type == DeviceType.CPU ? StretchElements : 16 * StretchElements) / matrix.shape[1]);
        for (long first = 0; first < rows; first += most)
        {
            using var stretch = matrix.narrow(0, first, Math.Min(most, rows - first));
            using var widened = stretch.to(dtype);
            yield return ((int)first, widened);
        }
    }

    /// <summary>
    /// Rows in the dtype of a product. oneDNN compiles a kernel for every shape it meets in bfloat16, and
    /// micro-batches differ in length: rows are filled up with zeros so that few shapes come again and again.
    /// </summary>
    static Tensor Round(Tensor x, ScalarType dtype)
    {
        const int Multiple = 128;
        if (x.dtype == dtype || x.device_type != DeviceType.CPU)
        {
            return x.to(dtype);
        }

        var padded = zeros((x.shape[0] + Multiple - 1) / Multiple * Multiple, x.shape[1], dtype: dtype);
        using var rows = padded.narrow(0, 0, x.shape[0]);
        rows.copy_(x);
        return padded;
    }

    /// <summary>
    /// Products in bfloat16 round x; all others are made in the dtype of x, to which a frozen matrix of 16 bits is widened.
    /// </summary>
    ScalarType ProductDtype(Tensor x) => Rounded?.dtype ?? x.dtype;

    sealed class Product : SingleTensorFunction<Product>
    {
        public override string Name => "linear";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (x, matrix, residual) = ((Tensor)vars[0], (LinearMatrix)vars[2], vars.Length > 3 ? (Tensor)vars[3] : null);
            var dtype = matrix.ProductDtype(x);
            var input = Round(x, dtype);
            ctx.save_for_backward([matrix.IsTrained ? input : empty(0)]);
            ctx.save_data("matrix", matrix);
            ctx.save_data("needs", x.requires_grad);
            ctx.save_data("arguments", vars.Length);
            return Multiply(input, matrix.Rounded ?? matrix.Weight.Values, residual, x.shape[0], x.dtype);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var (matrix, arguments) = ((LinearMatrix)ctx.get_data("matrix"), (int)ctx.get_data("arguments"));
            return CustomGradient.Of(ctx, gradOutput, arguments, (saved, dy) =>
            {
                var dx = matrix.ApplyBack(dy, saved[0], (bool)ctx.get_data("needs"));
                return arguments > 3 ? [dx, null, null, dy.alias()] : [dx, null, null];
            });
        }
    }

    /// <summary>Adds dyᵀ·x to the gradient of the matrix.</summary>
    /// <param name="dy">[N, C].</param>
    /// <param name="x">[N, K].</param>
    void Accumulate(Tensor dy, Tensor x)
    {
        using var transposed = dy.t();
        MultiplyInto(Weight.Gradient!, transposed, x, adds: true);
    }

    /// <param name="count">N; x may have rows of filling.</param>
    static Tensor Multiply(Tensor x, Tensor matrix, Tensor? residual, long count, ScalarType result)
    {
        var y = residual is null ? empty(count, matrix.shape[0], dtype: result, device: x.device) : residual.clone();
        foreach (var (first, rows) in Stretches(matrix, x.dtype))
        {
            using var transposed = rows.t();
            using var columns = y.narrow(1, first, rows.shape[0]);
            MultiplyInto(columns, x, transposed, adds: residual is not null);
        }

        return y;
    }

    /// <returns>dy·W.</returns>
    Tensor MultiplyBack(Tensor dy, long count, ScalarType result)
    {
        var dx = empty(count, Stored.shape[1], dtype: result, device: dy.device);
        foreach (var (first, rows) in Stretches(Rounded ?? Weight.Values, dy.dtype))
        {
            using var slopes = dy.narrow(1, first, rows.shape[0]);
            MultiplyInto(dx, slopes, rows, adds: first > 0);
        }

        return dx;
    }

    /// <summary>
    /// result ← a·b, or result + a·b. On the CPU a large product is cut into parts by its shape, for the cores that are idle;
    /// elsewhere one whose sum is in another dtype than its factors, which needs a matrix of its own for the product.
    /// </summary>
    /// <param name="result">[R, S], in the dtype of a and b or another.</param>
    /// <param name="a">[R, T]; further rows are filling.</param>
    /// <param name="b">[T, S].</param>
    static void MultiplyInto(Tensor result, Tensor a, Tensor b, bool adds)
    {
        var (rows, columns) =
            a.device_type == DeviceType.CPU ? PartOf(a.shape[0], b.shape[1], a.shape[1])
            : result.dtype == a.dtype ? (a.shape[0], b.shape[1])
            : (Math.Min(a.shape[0], Math.Max(1, DevicePartElements / b.shape[1])), b.shape[1]);
        int down = Parts(a.shape[0], rows),
            across = Parts(b.shape[1], columns);
        if (a.device_type == DeviceType.CPU)
        {
            Cores.For(down * across, Multiply);
        }
        else
        {
            for (var part = 0; part < down; part++)
            {
                Multiply(part);
            }
        }

        void Multiply(int part)
        {
            using var scope = NewDisposeScope();
            var (top, left) = (part / across * rows, part % across * columns);
            var mine = Stretch(Stretch(result, 0, top, rows), 1, left, columns);
            var (x, y) = (Stretch(a, 0, top, rows), Stretch(b, 1, left, columns));
            if (result.dtype == a.dtype)
            {
                mine.addmm_(x, y, beta: adds ? 1 : 0, alpha: 1);
                return;
            }

            var product = mm(x, y).narrow(0, 0, mine.shape[0]);
            _ = adds ? mine.Add(product) : mine.copy_(product);
        }

        static int Parts(long whole, long part) => part == 0 ? 1 : (int)((whole + part - 1) / part);

        static Tensor Stretch(Tensor matrix, int dimension, long first, long most) =>
            matrix.narrow(dimension, first, Math.Min(most, matrix.shape[dimension] - first));
    }

    /// <summary>Rows and columns of the parts of a product: about as many of one as of the other.</summary>
    internal static (long Rows, long Columns) PartOf(long rows, long columns, long inner)
    {
        var parts = rows * columns * inner / PartMultiplications;
        if (parts < 2)
        {
            return (rows, columns);
        }

        var down = Math.Clamp((long)Math.Round(Math.Sqrt((double)parts * rows / columns)), 1, parts);
        return (Share(rows, down), Share(columns, (parts + down - 1) / down));

        static long Share(long whole, long parts) =>
            Math.Min(whole, ((whole + parts - 1) / parts + PartMultiple - 1) / PartMultiple * PartMultiple);
    }
}
