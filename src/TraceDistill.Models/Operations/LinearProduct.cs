using TorchSharp;
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

    /// <summary>dy·W, in the dtype of dy: the gradient of x.</summary>
    /// <param name="dy">[N, C].</param>
    public Tensor ApplyBack(Tensor dy)
    {
        using var scope = NewDisposeScope();
        return MultiplyBack(Round(dy, ProductDtype(dy)), dy.shape[0], dy.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The stretches of rows that a product takes at once, in a dtype that it takes with x.</summary>
    /// <param name="dtype">Of x, or what x is rounded to.</param>
    IEnumerable<(int First, Tensor Rows)> Stretches(ScalarType dtype)
    {
        var matrix = Rounded ?? Stored;
        if (matrix.dtype == dtype)
        {
            yield return (0, matrix);
            yield break;
        }

        // Other devices have no such cache, and take long to be called.
        long rows = matrix.shape[0],
            most = Math.Max(1, (matrix.device_type == DeviceType.CPU ? StretchElements : 64 * StretchElements) / matrix.shape[1]);
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
            return matrix.Multiply(input, residual, x.shape[0], x.dtype);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var (matrix, arguments) = ((LinearMatrix)ctx.get_data("matrix"), (int)ctx.get_data("arguments"));
            return CustomGradient.Of(ctx, gradOutput, arguments, (saved, dy) =>
            {
                var input = saved[0];
                var dtype = matrix.Rounded?.dtype ?? dy.dtype;
                var slopes = Round(dy, dtype);
                if (matrix.IsTrained)
                {
                    Accumulate(matrix.Weight.Gradient!, slopes, input);
                }

                var dx = (bool)ctx.get_data("needs") ? matrix.MultiplyBack(slopes, dy.shape[0], dy.dtype) : null;
                return arguments > 3 ? [dx, null, null, dy.alias()] : [dx, null, null];
            });
        }

        /// <summary>gradient ← gradient + dyᵀ·x.</summary>
        static void Accumulate(Tensor gradient, Tensor dy, Tensor x)
        {
            using var transposed = dy.t();
            if (gradient.dtype == dy.dtype)
            {
                gradient.addmm_(transposed, x, beta: 1, alpha: 1);
            }
            else
            {
                using var product = mm(transposed, x);
                gradient.Add(product);
            }
        }
    }

    /// <param name="count">N; x may have rows of filling.</param>
    Tensor Multiply(Tensor x, Tensor? residual, long count, ScalarType result)
    {
        Tensor? y = null;
        foreach (var (first, rows) in Stretches(x.dtype))
        {
            using var transposed = rows.t();
            if (rows.shape[0] == Stored.shape[0] && x.dtype == result)
            {
                return residual is null ? mm(x, transposed) : addmm(residual, x, transposed, 1, 1);
            }

            using var product = mm(x, transposed);
            using var wanted = product.narrow(0, 0, count);
            y ??= residual is null ? empty(count, Stored.shape[0], dtype: result, device: x.device) : residual.clone();
            using var columns = y.narrow(1, first, rows.shape[0]);
            _ = residual is null ? columns.copy_(wanted) : columns.Add(wanted);
        }

        return y!;
    }

    /// <returns>dy·W.</returns>
    Tensor MultiplyBack(Tensor dy, long count, ScalarType result)
    {
        Tensor? dx = null;
        foreach (var (first, rows) in Stretches(dy.dtype))
        {
            using var slopes = dy.narrow(1, first, rows.shape[0]);
            if (dx is null)
            {
                dx = mm(slopes, rows);
            }
            else
            {
                dx.addmm_(slopes, rows, beta: 1, alpha: 1);
            }
        }

        return dx!.narrow(0, 0, count).to(result);
    }
}
