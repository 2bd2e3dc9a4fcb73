using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
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

    /// <summary>How matrices are held.</summary>
    TensorDtype Dtype { get; }

    /// <summary>How the named weight is to be saved: as it came.</summary>
    TensorDtype DtypeOf(string name);

    /// <summary>Norms and biases, in float32.</summary>
    NamedWeights Vectors { get; }

    /// <summary>All matrices, in <see cref="Dtype"/> and perhaps with others between them, as one vector.</summary>
    Tensor Matrices { get; }

    /// <summary>Shape of the named weight.</summary>
    long[] ShapeOf(string name);

    /// <summary>First element of the named matrix in <see cref="Matrices"/>.</summary>
    long OffsetOf(string name);

    /// <summary>Copies values of the named weight, whatever they are held as, from element <paramref name="first"/> on.</summary>
    void Read(string name, long first, Span<float> values);

    /// <summary>The rows of a matrix, or of several that lie next to each other, in float32: all at once or in stretches, each until the next.</summary>
    /// <param name="name">The first of the matrices.</param>
    /// <param name="count">Rows of all.</param>
    /// <param name="inner">Columns of each.</param>
    IEnumerable<WeightRows> Rows(string name, int count, int inner);
}

/// <summary>Rows of a matrix.</summary>
/// <param name="Buffer">Where they are.</param>
/// <param name="Offset">The first row's first element in <paramref name="Buffer"/>.</param>
/// <param name="First">The first row's number in the matrix.</param>
/// <param name="Count">How many rows.</param>
public readonly record struct WeightRows(FloatBuffer Buffer, long Offset, int First, int Count);
