using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Text.Errors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>Weights in one flat buffer, of float32 unless <see cref="HoldAs"/> says otherwise, with named views.</summary>
public class NamedWeights : IDisposable
{
    readonly Dictionary<string, (long Offset, long[] Shape)> _layout = [];
    readonly NamedWeights? _storage;
    FloatBuffer? _own;

    /// <param name="shapes">Names and shapes in the order they are stored.</param>
    /// <exception cref="InvalidInputException">One of them has more elements than a span can count; nothing is allocated then.</exception>
    public NamedWeights(IEnumerable<(string Name, long[] Shape)> shapes)
    {
        foreach (var (name, shape) in shapes)
        {
            _layout.Add(name, (Count, shape));
            Count += shape.SpanCount(name);
        }

        _own = new FloatBuffer(Count);
    }

    /// <summary>A view of weights that lie in another storage, which owns them.</summary>
    /// <param name="shapes">Names and shapes here.</param>
    /// <param name="storage">Has their memory.</param>
    /// <param name="nameIn">The name that a weight has there; neighbours here that are read as one matrix are neighbours there.</param>
    protected NamedWeights(IEnumerable<(string Name, long[] Shape)> shapes, NamedWeights storage, Func<string, string> nameIn)
    {
        _storage = storage;
        foreach (var (name, shape) in shapes)
        {
            _layout.Add(name, (storage.OffsetOf(nameIn(name)), shape));
            Count += shape.ElementCount();
        }
    }

    /// <summary>Where the weights lie: on the CPU at first.</summary>
    public Device Device => Flat.Device;

    /// <summary>[Count] every weight, owned by this object; of a view all of its storage.</summary>
    public FloatBuffer Flat => _storage?.Flat ?? _own!;

    /// <summary>Number of weights.</summary>
    public long Count { get; }

    /// <summary>Names in storage order.</summary>
    public IEnumerable<string> Names => _layout.Keys;

    /// <summary>Elements of the named weight, where weights are float32 on the CPU.</summary>
    public Span<float> Values(string name) => Flat.Slice(OffsetOf(name), (int)ShapeOf(name).ElementCount());

    /// <summary>Shape of the named weight.</summary>
    public long[] ShapeOf(string name) => _layout[name].Shape;

    /// <summary>First element of the named weight in <see cref="Flat"/>.</summary>
    public long OffsetOf(string name) => _layout[name].Offset;

    /// <summary>
    /// A matrix view of the named weight in <paramref name="flat"/>, a buffer laid out like <see cref="Flat"/> (weights, gradient);
    /// <paramref name="rows"/> may reach over the weights that follow it, such as q, k and v together.
    /// </summary>
    public Tensor Matrix(FloatBuffer flat, string name, long? rows = null)
    {
        var (offset, shape) = _layout[name];
        return flat.Matrix(rows ?? shape[0], shape.ElementCount() / shape[0], offset);
    }

    /// <summary>Copies values of the named weight from any device, from element <paramref name="first"/> on.</summary>
    public void Read(string name, long first, Span<float> values) => Flat.Read(OffsetOf(name) + first, values);

    /// <summary>Takes the weights to another device; views of them made before are of no use then.</summary>
    public void MoveTo(Device device)
    {
        if (_storage is not null)
        {
            _storage.MoveTo(device);
        }
        else if (device.ToString() != Device.ToString())
        {
            using var former = Flat;
            _own = former.CopyTo(device);
        }
    }

    /// <summary>
    /// Holds the weights as numbers of another kind from now on, rounded to the nearest; views of them made before are of no use then.
    /// </summary>
    /// <param name="dtype">Float32 or bfloat16.</param>
    public void HoldAs(ScalarType dtype)
    {
        if (_storage is not null)
        {
            _storage.HoldAs(dtype);
        }
        else if (dtype != Flat.Dtype)
        {
            using var former = Flat;
            _own = former.CopyAs(dtype);
        }
    }

    public void Dispose()
    {
        _own?.Dispose();
        GC.SuppressFinalize(this);
    }
}
