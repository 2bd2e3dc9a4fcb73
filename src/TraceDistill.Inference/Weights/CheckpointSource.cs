using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;

namespace TraceDistill.Inference.Weights;

/// <summary>The files of a checkpoint.</summary>
sealed class CheckpointSource(ModelConfiguration configuration, WeightFiles files) : IWeightSource
{
    public ModelConfiguration Configuration => configuration;

    public TensorDtype DtypeOf(string name) => files.Find(name)!.Dtype;

    public long[] ShapeOf(string name) => files.Find(name)!.Shape;

    public void Read(string name, long first, Span<byte> values) => files.Read(name, first, values);
}
