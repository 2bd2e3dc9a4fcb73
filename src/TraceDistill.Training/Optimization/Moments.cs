using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// A number for each weight of some of the trained ones, held as those are: on their device, of their dtype, the weights one after another.
/// </summary>
sealed class Moments : IDisposable
{
    readonly FloatBuffer _buffer;
    readonly Dictionary<string, long> _offsets = [];

    public Moments(TrainedWeights trained, IEnumerable<string> names)
    {
        var count = 0L;
        foreach (var name in names)
        {
            _offsets.Add(name, count);
            count += trained.Weights.ShapeOf(name).ElementCount();
        }

        _buffer = new FloatBuffer(count, trained.Weights.Device, trained.Weights.Flat.Dtype);
    }

    /// <summary>Those of one weight, in float32 on the CPU.</summary>
    public Span<float> ValuesOf(string name, int count) => _buffer.Slice(_offsets[name], count);

    /// <summary>Those of one weight, as a vector.</summary>
    public Tensor VectorOf(string name, long count) => _buffer.Vector.narrow(0, _offsets[name], count);

    /// <summary>Those of the weights of a stretch, in float32 on the CPU.</summary>
    public Span<float> ValuesOf(Stretch stretch) => _buffer.Slice(stretch.Moment, (int)stretch.Count);

    /// <summary>Those of the weights of a stretch.</summary>
    public Tensor Of(Stretch stretch) => _buffer.Vector.narrow(0, stretch.Moment, stretch.Count);

    public void Visit(BytesVisitor visit) => _buffer.Visit(visit);

    public void Dispose() => _buffer.Dispose();
}
