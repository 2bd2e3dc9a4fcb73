using System.Runtime.InteropServices;
using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Safetensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>
/// The weights of a checkpoint that nothing changes, its matrices in the 16 bits that it has for them: half of what
/// <see cref="ModelParameters"/> takes. A product widens them a stretch of rows at a time.
/// </summary>
public sealed class FrozenParameters : IDecoderWeights
{
    /// <summary>Weights that are read from a file at once.</summary>
    const int StretchElements = 1 << 19;

    /// <summary>Weights that are copied at once: a span counts their bytes in int.</summary>
    const int CopiedElements = 1 << 28;

    readonly Dictionary<string, (long Offset, long[] Shape)> _layout = [];
    readonly Dictionary<string, TensorDtype> _stored = [];

    /// <summary>The matrices, where they lie on the CPU.</summary>
    TensorMemory<ushort>? _memory;

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
            if (shape.IsMatrix())
            {
                _layout.Add(name, (matrices, shape));
                matrices += shape[0] * shape[1];
            }
        }

        Vectors = new NamedWeights(shapes.Where(weight => !weight.Shape.IsMatrix()));
        Count = matrices + Vectors.Count;
        Matrices = empty(matrices, dtype: dtype == TensorDtype.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float16)
            .DetachFromDisposeScope();
        _memory = new TensorMemory<ushort>(Matrices);
        try
        {
            Read(weights, shapes, _memory.Value);
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

    public Tensor Matrices { get; private set; }

    public Device Device => Matrices.device;

    public long[] ShapeOf(string name) => _layout.TryGetValue(name, out var matrix) ? matrix.Shape : Vectors.ShapeOf(name);

    public long OffsetOf(string name) => _layout[name].Offset;

    public void Read(string name, long first, Span<float> values) => Read(name, first, values, CopiedElements);

    /// <param name="name">Of the weight.</param>
    /// <param name="first">The first element.</param>
    /// <param name="values">Receives as many as it has room for.</param>
    /// <param name="most">Elements of a matrix that are copied at once.</param>
    internal void Read(string name, long first, Span<float> values, int most)
    {
        if (!_layout.TryGetValue(name, out var matrix))
        {
            Vectors.Read(name, first, values);
            return;
        }

        for (var start = matrix.Offset + first; !values.IsEmpty; start += most)
        {
            var count = Math.Min(most, values.Length);
            if (_memory is { } memory)
            {
                Dtype.Decode(MemoryMarshal.AsBytes(memory.Slice(start, count)), values[..count]);
            }
            else
            {
                using var part = Matrices.narrow(0, start, count);
                using var copy = part.cpu();
                Dtype.Decode(copy.bytes, values[..count]);
            }

            values = values[count..];
        }
    }

    public void MoveTo(Device device)
    {
        if (device.ToString() == Device.ToString())
        {
            return;
        }

        using var former = Matrices;
        Matrices = former.to(device).DetachFromDisposeScope();
        _memory = Matrices.device_type == DeviceType.CPU ? new TensorMemory<ushort>(Matrices) : null;
        Vectors.MoveTo(device);
    }

    public void Dispose()
    {
        Matrices.Dispose();
        Vectors.Dispose();
    }

    void Read(WeightFiles weights, IEnumerable<(string Name, long[] Shape)> shapes, TensorMemory<ushort> memory)
    {
        foreach (var (name, shape) in shapes)
        {
            if (!shape.IsMatrix())
            {
                weights.Read(name, Vectors.Values(name));
                continue;
            }

            for (long row = 0, most = Math.Max(1, StretchElements / shape[1]); row < shape[0]; row += most)
            {
                var count = (int)(Math.Min(most, shape[0] - row) * shape[1]);
                weights.Read(name, row * shape[1], MemoryMarshal.AsBytes(memory.Slice(OffsetOf(name) + row * shape[1], count)));
            }
        }
    }
}
