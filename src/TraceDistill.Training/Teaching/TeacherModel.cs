using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Teaching;

/// <summary>A model that teaches by its distributions: it runs over the student's own sequences, and nothing of it is stored.</summary>
public sealed class TeacherModel : IDisposable
{
    readonly bool _isOwned;
    RoundedMatrices? _rounded;

    /// <param name="weights">Of the student's vocabulary.</param>
    /// <param name="isOwned">True where they are disposed of with this.</param>
    public TeacherModel(IDecoderWeights weights, bool isOwned) => (Weights, _isOwned) = (weights, isOwned);

    /// <param name="adapter">Of a model that somebody else owns; disposed of with this.</param>
    public TeacherModel(LoraAdapter adapter)
        : this(adapter.Model, isOwned: false) => Adapter = adapter;

    /// <summary>Its weights; those of a LoRA student's base, where that is the teacher.</summary>
    public IDecoderWeights Weights { get; }

    /// <summary>Beside the weights; null for none.</summary>
    public LoraAdapter? Adapter { get; }

    /// <summary>Refuses sequences that it has no positions for.</summary>
    /// <param name="longest">Tokens of the longest sequence.</param>
    /// <param name="name">Begins the error.</param>
    /// <exception cref="InvalidInputException">There are some.</exception>
    public void EnsureFits(int longest, string name = "teacher: it")
    {
        if (longest > Weights.Configuration.MaxPositionEmbeddings)
        {
            throw new InvalidInputException(
                $"{name} has {Weights.Configuration.MaxPositionEmbeddings} positions, and the longest sequence {longest} tokens; "
                    + $"set max_length: {Weights.Configuration.MaxPositionEmbeddings}"
            );
        }
    }

    /// <summary>Bytes that it comes to take on a device: a copy of its matrices for products; off the CPU the weights too.</summary>
    /// <param name="device">Where it is to run.</param>
    /// <param name="dtype">Precision of its products.</param>
    public long BytesOn(Device device, ComputeDtype dtype)
    {
        var matrices = Weights.Matrices;
        var isRounded = dtype.On(device) == ComputeDtype.BFloat16 && matrices.dtype != ScalarType.BFloat16;
        var own = _isOwned && device.type != TorchSharp.DeviceType.CPU ? matrices.ElementSize * matrices.numel() : 0;
        return own + (isRounded ? sizeof(ushort) * matrices.numel() : 0);
    }

    /// <summary>Takes it to where it runs.</summary>
    /// <param name="device">The student's, or one of its own.</param>
    /// <param name="dtype">Precision of its products.</param>
    public void MoveTo(Device device, ComputeDtype dtype)
    {
        Weights.MoveTo(device);
        Adapter?.MoveTo(device);
        _rounded = dtype.On(device) == ComputeDtype.BFloat16 ? new RoundedMatrices(Weights) : null;
    }

    /// <summary>Has its products take its weights as they are now; of a model with an adapter those of the adapter.</summary>
    public void Refresh()
    {
        if (Adapter is not null)
        {
            Adapter.Refresh();
        }
        else
        {
            _rounded?.Refresh();
        }
    }

    /// <summary>A decoder over its weights, for a thread of its own.</summary>
    /// <param name="isExact">True for products in float32, whatever they are in while it teaches: for figures that are compared.</param>
    public Decoder NewDecoder(bool isExact = false)
    {
        var rounded = isExact ? null : _rounded;
        // The CPU rounds what goes into a product; elsewhere all between the products is faster in 16 bits as well.
        var isRounded = Weights.Device.type != TorchSharp.DeviceType.CPU && rounded is not null;
        return new Decoder(
            Adapter is null ? TrainedWeights.None(Weights) : TrainedWeights.Of(Adapter),
            rounded: rounded,
            activations: isRounded ? ScalarType.BFloat16 : ScalarType.Float32
        );
    }

    public void Dispose()
    {
        _rounded?.Dispose();
        Adapter?.Dispose();
        if (_isOwned)
        {
            Weights.Dispose();
        }
    }
}
