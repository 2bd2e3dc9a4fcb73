using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;

namespace TraceDistill.Training.Optimization;

/// <summary>A float32 number for each weight of some of the trained ones, the weights one after another.</summary>
sealed unsafe class Moments : IDisposable
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

        _buffer = new FloatBuffer(count);
    }

    /// <summary>Those of one weight.</summary>
    public float* Of(string name) => _buffer.Pointer + _offsets[name];

    /// <summary>Shows all memory of a buffer, in order.</summary>
    public static void Visit(FloatBuffer buffer, BytesVisitor visit)
    {
        foreach (var (start, count) in buffer.Pieces(TrainingState.Piece))
        {
            visit(System.Runtime.InteropServices.MemoryMarshal.AsBytes(buffer.Slice(start, count)));
        }
    }

    public void Visit(BytesVisitor visit) => Visit(_buffer, visit);

    public void Dispose() => _buffer.Dispose();
}
