using TraceDistill.Models.Configuration;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Weights;

namespace TraceDistill.Training.Generation;

/// <summary>A model in memory.</summary>
sealed unsafe class ParameterSource(ModelParameters parameters) : IWeightSource
{
    public ModelConfiguration Configuration => parameters.Configuration;

    public TensorDtype DtypeOf(string name) => TensorDtype.Float32;

    public long[] ShapeOf(string name) => parameters.ShapeOf(name);

    public void Read(string name, long first, Span<byte> values) =>
        new ReadOnlySpan<byte>(parameters.Flat.Pointer + parameters.OffsetOf(name) + first, values.Length).CopyTo(values);
}
