namespace TraceDistill.Training.Kernels;

/// <summary>Precision of the matrix products inside the layers; weights, residual stream, logits, loss and optimizer are always float32.</summary>
public enum ComputeDtype
{
    Float32,

    /// <summary>Inputs rounded to bfloat16, sums in float32: twice as fast where the processor multiplies bfloat16 (AVX512-BF16, AMX).</summary>
    BFloat16,
}
