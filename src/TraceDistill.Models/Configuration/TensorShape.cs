using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Configuration;

/// <summary>Quantities that follow from the sizes of a tensor.</summary>
static class TensorShape
{
    /// <summary>
    /// Returns whether products read it; norms, biases and the weights of convolutions are vectors, whatever their shape.
    /// </summary>
    public static bool IsMatrix(this long[] shape) => shape.Length == 2;

    /// <summary>Number of values.</summary>
    public static long ElementCount(this long[] shape) => shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>As above, of a tensor whose values are to be one span.</summary>
    /// <exception cref="InvalidInputException">There are more than a span can count.</exception>
    public static int SpanCount(this long[] shape, string name) =>
        shape.ElementCount() is <= int.MaxValue and var count
            ? (int)count
            : throw new InvalidInputException(
                $"{name}: has {shape.ElementCount():N0} elements ({string.Join(" × ", shape)}); "
                    + $"one tensor may have {int.MaxValue:N0} at most"
            );
}
