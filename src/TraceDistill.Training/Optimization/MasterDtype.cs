using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>Precision of trainable parameters and moments between steps.</summary>
public enum MasterDtype
{
    Float32,

    /// <summary>
    /// Half of the memory; what a step comes to is rounded to one of the two nearest numbers
    /// at random (<see cref="StochasticRounding"/>).
    /// </summary>
    BFloat16,
}

static class MasterDtypes
{
    public static ScalarType ToScalarType(this MasterDtype dtype) =>
        dtype == MasterDtype.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;

    /// <summary>Bytes of a number.</summary>
    public static int Bytes(this MasterDtype dtype) => dtype == MasterDtype.BFloat16 ? sizeof(ushort) : sizeof(float);
}
