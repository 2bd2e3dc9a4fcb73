using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// T = positions, r = rotated channels of a head

/// <summary>Cosines and sines of the rotations of positions, kept on the device that asks for them. One object serves one thread.</summary>
/// <param name="configuration">The model's.</param>
/// <param name="isLocal">Of layers with a window, where these have frequencies of their own.</param>
sealed class RotaryTables(ModelConfiguration configuration, bool isLocal) : IDisposable
{
    readonly Dictionary<(bool IsLong, ScalarType Dtype), (Tensor Cosine, Tensor Sine)> _tables = [];

    /// <param name="count">T.</param>
    /// <param name="isLong">For sequences that are long in the sense of <see cref="ModelConfiguration.IsLong"/>.</param>
    /// <param name="dtype">Of the heads; those of 16 bits are rotated in float32.</param>
    /// <returns>[T, r/2] each, of the positions from 0 on.</returns>
    public (Tensor Cosine, Tensor Sine) Of(long count, bool isLong, ScalarType dtype, Device device)
    {
        dtype = dtype == ScalarType.Float64 ? dtype : ScalarType.Float32;
        if (
            !_tables.TryGetValue((isLong, dtype), out var tables)
            || tables.Cosine.shape[0] < count
            || tables.Cosine.device_type != device.type
        )
        {
            Release(tables);
            tables = Make((long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)Math.Max(256, count)), isLong, dtype, device);
            _tables[(isLong, dtype)] = tables;
        }

        return (tables.Cosine.narrow(0, 0, count), tables.Sine.narrow(0, 0, count));
    }

    public void Dispose()
    {
        foreach (var tables in _tables.Values)
        {
            Release(tables);
        }

        _tables.Clear();
    }

    (Tensor Cosine, Tensor Sine) Make(long count, bool isLong, ScalarType dtype, Device device)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var frequencies = RotaryFrequencies.Of(configuration, isLocal, isLong);
        var angles = outer(Arithmetic.Range(count, CPU, ScalarType.Float64), tensor(frequencies.Angles));
        return (Table(angles.cos()), Table(angles.sin()));

        Tensor Table(Tensor values) => values.Times(frequencies.Magnitude).to(dtype).to(device).DetachFromDisposeScope();
    }

    static void Release((Tensor? Cosine, Tensor? Sine) tables)
    {
        tables.Cosine?.Dispose();
        tables.Sine?.Dispose();
    }
}
