using TraceDistill.Models.Configuration;
using static TorchSharp.torch;

namespace TraceDistill.Models.Weights;

/// <summary>
/// The weights of a decoder in Hugging Face's names, as its passes read them: <see cref="ModelParameters"/>, which training changes, or
/// <see cref="FrozenParameters"/>. q, k, v (and gate, up) lie next to each other so that one matrix product serves all of them.
/// </summary>
public interface IDecoderWeights : IDisposable
{
    ModelConfiguration Configuration { get; }

    /// <summary>Names in storage order.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>Number of weights, a tied output projection counted once.</summary>
    long Count { get; }

    /// <summary>Storage type of matrices.</summary>
    TensorDtype Dtype { get; }

    /// <summary>Storage type in which the named weight is to be saved: as it came.</summary>
    TensorDtype DtypeOf(string name);

    /// <summary>Norms and biases: in float32, or as the matrices are where those are trained.</summary>
    NamedWeights Vectors { get; }

    /// <summary>All matrices, in <see cref="Dtype"/> and perhaps with others between them, as one vector.</summary>
    Tensor Matrices { get; }

    /// <summary>Shape of the named weight.</summary>
    long[] ShapeOf(string name);

    /// <summary>First element of the named matrix in <see cref="Matrices"/>.</summary>
    long OffsetOf(string name);

    /// <summary>Copies values of the named weight, whatever they are held as, from element <paramref name="first"/> on.</summary>
    void Read(string name, long first, Span<float> values);

    /// <summary>Where the weights lie: on the CPU at first.</summary>
    Device Device { get; }

    /// <summary>Takes the weights to another device; views of them made before are of no use then.</summary>
    void MoveTo(Device device);
}
