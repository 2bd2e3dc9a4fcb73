using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>
/// The weights of a checkpoint that nothing changes, its matrices in the 16 bits that it has for them: half of what
/// <see cref="ModelParameters"/> takes. A product widens them a stretch of rows at a time.
/// </summary>
public sealed unsafe class FrozenParameters : IDecoderWeights
{
    /// <summary>Two megabytes once widened: they stay in the cache from there to the product.</summary>
    const int StretchElements = 1 << 19;

    readonly Dictionary<string, (long Offset, long[] Shape)> _layout = [];
    readonly Dictionary<string, TensorDtype> _stored = [];
    readonly ushort* _pointer;
    readonly ThreadLocal<FloatBuffer> _widened;

    /// <param name="configuration">The model's.</param>
    /// <param name="weights">Its files; not needed any more afterwards.</param>
    /// <param name="dtype">Of all matrices in them: float16 or bfloat16.</param>
    internal FrozenParameters(ModelConfiguration configuration, WeightFiles weights, TensorDtype dtype)
    {
        (Configuration, Dtype) = (configuration, dtype);
        var shapes = ModelParameters.Shapes(configuration).ToList();
        var matrices = 0L;
        foreach (var (name, shape) in shapes)
        {
            _stored.Add(name, weights.Find(name)!.Dtype);
            if (shape.Length > 1)
            {
                _layout.Add(name, (matrices, shape));
                matrices += shape[0] * shape[1];
            }
        }

        Vectors = new NamedWeights(shapes.Where(weight => weight.Shape.Length == 1));
        Count = matrices + Vectors.Count;
        Matrices = empty(matrices, dtype: dtype == TensorDtype.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float16).DetachFromDisposeScope();
        using (var first = Matrices.narrow(0, 0, 1))
        {
            // A tensor's bytes are a span, which ends at 2 GiB; it is where they begin that is wanted.
            _pointer = (ushort*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
        }

        var widest = _layout.Values.Max(matrix => matrix.Shape[1]);
        _widened = new ThreadLocal<FloatBuffer>(() => new FloatBuffer(Math.Max(StretchElements, widest)), trackAllValues: true);
        try
        {
            Read(weights, shapes);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public ModelConfiguration Configuration { get; }

    public IEnumerable<string> Names => _stored.Keys;

    public long Count { get; }

    public TensorDtype Dtype { get; }

    public TensorDtype DtypeOf(string name) => _stored[name];

    public NamedWeights Vectors { get; }

    public Tensor Matrices { get; }

    public long[] ShapeOf(string name) => _layout.TryGetValue(name, out var matrix) ? matrix.Shape : Vectors.ShapeOf(name);

    public long OffsetOf(string name) => _layout[name].Offset;

    public void Read(string name, long first, Span<float> values)
    {
        if (_layout.TryGetValue(name, out var matrix))
        {
            Widen(matrix.Offset + first, values);
        }
        else
        {
            Vectors.Values(name).Slice((int)first, values.Length).CopyTo(values);
        }
    }

    public IEnumerable<WeightRows> Rows(string name, int count, int inner)
    {
        var (offset, buffer) = (OffsetOf(name), _widened.Value!);
        for (int row = 0, most = RowsAtOnce(inner); row < count; row += most)
        {
            var rows = Math.Min(most, count - row);
            Widen(offset + (long)row * inner, buffer.Slice(0, rows * inner));
            yield return new WeightRows(buffer, 0, row, rows);
        }
    }

    public void Dispose()
    {
        foreach (var buffer in _widened.Values)
        {
            buffer.Dispose();
        }

        _widened.Dispose();
        Matrices.Dispose();
        Vectors.Dispose();
    }

    void Read(WeightFiles weights, IEnumerable<(string Name, long[] Shape)> shapes)
    {
        foreach (var (name, shape) in shapes)
        {
            if (shape.Length == 1)
            {
                weights.Read(name, Vectors.Values(name));
                continue;
            }

            for (long row = 0, most = RowsAtOnce((int)shape[1]); row < shape[0]; row += most)
            {
                var count = (int)(Math.Min(most, shape[0] - row) * shape[1]);
                weights.Read(name, row * shape[1], new Span<byte>(_pointer + OffsetOf(name) + row * shape[1], count * sizeof(ushort)));
            }
        }
    }

    static int RowsAtOnce(int inner) => Math.Max(1, StretchElements / inner);

    void Widen(long first, Span<float> values) => Dtype.Decode(new ReadOnlySpan<byte>(_pointer + first, values.Length * sizeof(ushort)), values);
}
