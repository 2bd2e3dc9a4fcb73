using System.Runtime.InteropServices;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;

namespace TraceDistill.Inference.Weights;

/// <summary>A model in memory.</summary>
sealed class ParameterSource(ModelParameters parameters) : IWeightSource
{
    public ModelConfiguration Configuration => parameters.Configuration;

    public TensorDtype DtypeOf(string name) => TensorDtype.Float32;

    public long[] ShapeOf(string name) => parameters.ShapeOf(name);

    public void Read(string name, long first, Span<byte> values) => parameters.Read(name, first, MemoryMarshal.Cast<byte, float>(values));
}
