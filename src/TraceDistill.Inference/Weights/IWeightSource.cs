using TraceDistill.Models.Configuration;

namespace TraceDistill.Inference.Weights;

/// <summary>Where a decoder's weights come from: the files of a checkpoint, or a model in memory.</summary>
interface IWeightSource
{
    ModelConfiguration Configuration { get; }

    /// <summary>Storage type of the named tensor.</summary>
    TensorDtype DtypeOf(string name);

    /// <summary>[rows, columns] or [length] of the named tensor.</summary>
    long[] ShapeOf(string name);

    /// <summary>Copies values as they are stored, little-endian.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="first">The first value.</param>
    /// <param name="values">Receives as many as it has room for.</param>
    void Read(string name, long first, Span<byte> values);
}
