using System.Numerics.Tensors;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Export;

/// <summary>
/// Reads the weights of a model, its adapter merged into them, one at a time into the same
/// memory: that of the largest of them, not of the model.
/// </summary>
sealed class WeightReader : IDisposable
{
    const float LargestHalf = 65_504;

    readonly WeightFiles _weights;
    readonly PeftAdapter? _adapter;
    float[] _values = [];

    /// <exception cref="InvalidInputException">
    /// The weights are not those of their configuration, or the adapter is of another model.
    /// </exception>
    public WeightReader(ExportSource source)
    {
        (Configuration, _weights) = ModelDirectory.Open(source.Model);
        try
        {
            _adapter = source.Adapter is null ? null : PeftAdapter.Open(source.Adapter, ModelParameters.Shapes(Configuration));
        }
        catch
        {
            _weights.Dispose();
            throw;
        }
    }

    public ModelConfiguration Configuration { get; }

    /// <summary>Storage type of a tensor in the checkpoint.</summary>
    public TensorDtype DtypeOf(string name) => _weights.Find(name)!.Dtype;

    /// <param name="name">Hugging Face's.</param>
    /// <param name="type">Name of the type that the values are stored as, for messages.</param>
    /// <param name="isBoundedByHalf">True where that ends at float16's largest number.</param>
    /// <param name="rounding">Records merged ones; null where they are not wanted.</param>
    /// <returns>The values, until the next call.</returns>
    /// <exception cref="InvalidInputException">A value is not finite or too large to be stored so.</exception>
    public Memory<float> Read(string name, string type, bool isBoundedByHalf, MergeRounding? rounding = null)
    {
        var count = _weights.Find(name)!.Shape.ElementCount();
        var elements =
            count <= Array.MaxLength
                ? (int)count
                : throw new InvalidInputException(
                    $"{_weights.Path}: tensor {name} has {count:#,0} values; at most {Array.MaxLength:#,0} can be exported"
                );
        if (_values.Length < elements)
        {
            _values = new float[elements];
        }

        var values = _values.AsMemory(0, elements);
        _weights.Read(name, values.Span);
        var isMerged = _adapter?.Changes(name) == true;
        if (isMerged)
        {
            rounding?.Before(values.Span);
            _adapter!.Merge(name, values);
            rounding?.After(name, values.Span);
        }

        var peak = Math.Abs(TensorPrimitives.MaxMagnitude<float>(values.Span));
        var origin = isMerged ? _adapter!.Path : _weights.Path;
        if (!float.IsFinite(peak))
        {
            throw new InvalidInputException(
                $"{origin}: tensor {name} holds a value that is not a finite number; the training that made it diverged"
            );
        }

        if (peak > LargestHalf && isBoundedByHalf)
        {
            throw new InvalidInputException(
                $"{origin}: tensor {name} holds {peak}, and {type} ends at {LargestHalf:#,0}; take bfloat16 or float32"
            );
        }

        return values;
    }

    public void Dispose()
    {
        _weights.Dispose();
        _adapter?.Dispose();
    }
}
