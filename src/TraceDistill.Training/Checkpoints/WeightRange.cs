using System.Numerics.Tensors;
using TraceDistill.Core.Errors;

namespace TraceDistill.Training.Checkpoints;

/// <summary>Whether values can be stored without one of them becoming another.</summary>
static class WeightRange
{
    const float LargestHalf = 65_504;

    /// <param name="origin">Where they come from, for messages.</param>
    /// <param name="name">What they are called.</param>
    /// <exception cref="InvalidInputException">One is not finite, or too large for float16.</exception>
    public static void Check(string origin, string name, ReadOnlySpan<float> values, TensorDtype dtype) => Check(origin, name, values, dtype.TorchName(), dtype == TensorDtype.Float16);

    /// <summary>As above, for other types.</summary>
    /// <param name="type">What they are to be stored as.</param>
    /// <param name="isBoundedByHalf">Whether that ends at float16's largest number.</param>
    public static void Check(string origin, string name, ReadOnlySpan<float> values, string type, bool isBoundedByHalf)
    {
        var peak = Math.Abs(TensorPrimitives.MaxMagnitude(values));
        if (!float.IsFinite(peak))
        {
            throw new InvalidInputException($"{origin}: tensor {name} holds a value that is not a finite number; the training that made it diverged");
        }

        if (peak > LargestHalf && isBoundedByHalf)
        {
            throw new InvalidInputException($"{origin}: tensor {name} holds {peak}, and {type} ends at {LargestHalf:#,0}; take bfloat16 or float32");
        }
    }
}
