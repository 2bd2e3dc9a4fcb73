namespace TraceDistill.Training.Checkpoints;

/// <summary>What follows from the sizes of a tensor.</summary>
static class TensorShape
{
    /// <summary>Number of values.</summary>
    public static long ElementCount(this long[] shape) => shape.Aggregate(1L, (product, size) => product * size);
}
