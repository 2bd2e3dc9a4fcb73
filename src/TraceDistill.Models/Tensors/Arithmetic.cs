using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tensors;

/// <summary>
/// Operations of tensors with numbers, and their sums. TorchSharp's own (operators, <c>add</c>, <c>mul</c>,
/// <c>masked_fill</c>, …) make a native scalar, for the factor of an addition too, and do not keep it alive
/// during the call: the collector may free it there. Code that runs often takes these instead.
/// </summary>
static class Arithmetic
{
    static readonly Scalar One = 1.0,
        Zero = 0.0,
        NegativeInfinity = double.NegativeInfinity,
        FirstPlace = 0L,
        NextPlace = 1L;

    /// <returns>0, 1, … below <paramref name="count"/>.</returns>
    public static Tensor Range(long count, Device device, ScalarType dtype = ScalarType.Int64)
    {
        Scalar stop = count;
        var range = arange(FirstPlace, stop, NextPlace, dtype, device);
        GC.KeepAlive(stop);
        return range;
    }

    /// <returns>−∞ everywhere.</returns>
    public static Tensor NegativeInfinities(long[] shape, ScalarType dtype, Device device) =>
        full(shape, NegativeInfinity, dtype: dtype, device: device);

    /// <returns>
    /// Of an array: a copy in libtorch's own memory, which is aligned. An array's lies anywhere, and MKL's products, exponentials and
    /// logarithms round by where: the same numbers would have other bits in another run.
    /// </returns>
    public static Tensor Aligned(this Tensor ofArray) => ofArray.clone();

    /// <returns>Numbers of 16 bits in float32; others as they are.</returns>
    public static Tensor Wide(this Tensor a) => a.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? a.to(ScalarType.Float32) : a;

    /// <returns>a²; TorchSharp's <c>square</c> is a power with a scalar of its own.</returns>
    public static Tensor Squared(this Tensor a) => a.mul(a);

    /// <returns>a + b.</returns>
    public static Tensor Plus(this Tensor a, Tensor b) => a.add(b, One);

    /// <summary>a ← a + b.</summary>
    public static Tensor Add(this Tensor a, Tensor b) => a.add_(b, One);

    /// <returns>a + b.</returns>
    public static Tensor Plus(this Tensor a, double b)
    {
        Scalar scalar = b;
        var sum = a.add(scalar, One);
        GC.KeepAlive(scalar);
        return sum;
    }

    /// <summary>a ← a + b.</summary>
    public static Tensor Add(this Tensor a, double b)
    {
        Scalar scalar = b;
        var sum = a.add_(scalar, One);
        GC.KeepAlive(scalar);
        return sum;
    }

    /// <returns>a · b.</returns>
    public static Tensor Times(this Tensor a, double b)
    {
        Scalar scalar = b;
        var product = a.mul(scalar);
        GC.KeepAlive(scalar);
        return product;
    }

    /// <returns>a with 0 where <paramref name="mask"/> is true.</returns>
    public static Tensor ZeroWhere(this Tensor a, Tensor mask) => a.masked_fill(mask, Zero);

    /// <returns>a with −∞ where <paramref name="mask"/> is true.</returns>
    public static Tensor NegativeInfinityWhere(this Tensor a, Tensor mask) => a.masked_fill(mask, NegativeInfinity);

    /// <returns>a with <paramref name="value"/> where <paramref name="mask"/> is true.</returns>
    public static Tensor FillWhere(this Tensor a, Tensor mask, double value)
    {
        Scalar scalar = value;
        var filled = a.masked_fill(mask, scalar);
        GC.KeepAlive(scalar);
        return filled;
    }

    /// <returns>True where an element is below <paramref name="value"/>.</returns>
    public static Tensor IsBelow(this Tensor a, double value)
    {
        Scalar scalar = value;
        var isBelow = a.lt(scalar);
        GC.KeepAlive(scalar);
        return isBelow;
    }

    /// <returns>True where an element is 0.</returns>
    public static Tensor IsZero(this Tensor a) => a.eq(Zero);

    /// <returns>True where an element is below 0.</returns>
    public static Tensor IsNegative(this Tensor a) => a.lt(Zero);

    /// <summary>Writes 0 into the rows that <paramref name="rows"/> names.</summary>
    public static Tensor ClearRows(this Tensor a, Tensor rows) => a.index_fill_(0, rows, Zero);

    /// <returns>The larger of each element and <paramref name="least"/>.</returns>
    public static Tensor AtLeast(this Tensor a, double least)
    {
        Scalar scalar = least;
        var clamped = a.clamp(scalar, null);
        GC.KeepAlive(scalar);
        return clamped;
    }

    /// <returns>a with rows of <paramref name="source"/> added to those that <paramref name="rows"/> names.</returns>
    public static Tensor PlusRows(this Tensor a, Tensor rows, Tensor source) => a.index_add(0, rows, source, One);

    /// <summary>a ← a · b.</summary>
    public static Tensor Scale(this Tensor a, double b)
    {
        Scalar scalar = b;
        var product = a.mul_(scalar);
        GC.KeepAlive(scalar);
        return product;
    }

    /// <summary>Adds rows of <paramref name="source"/> to those that <paramref name="rows"/> names, in their order.</summary>
    public static void AddRows(this Tensor a, Tensor rows, Tensor source) => a.index_add_(0, rows, source, One);
}
