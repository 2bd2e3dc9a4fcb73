using static TorchSharp.torch;

namespace TraceDistill.Models.Operations;

// R = rows (tokens) of a pass, r = rotated channels of a head

/// <summary>Where each row of a pass stands in its sequence, and so by which angles it is rotated.</summary>
sealed class RotaryPositions
{
    readonly Tensor _positions;
    readonly Tensor? _isLong;
    readonly int _last;

    /// <param name="positions">[R].</param>
    /// <param name="isLong">
    /// [R] whether the row's sequence is long in the sense of <see cref="Configuration.ModelConfiguration.IsLong"/>.
    /// </param>
    /// <param name="device">Where the tensors lie, which belong to the current scope.</param>
    public RotaryPositions(IReadOnlyCollection<int> positions, bool[] isLong, Device device)
    {
        _last = positions.Max();
        _positions = tensor(positions.Select(position => (long)position).ToArray(), device: device);
        if (isLong.Contains(true))
        {
            _isLong = tensor(isLong, device: device).reshape(-1, 1, 1);
        }
    }

    /// <summary>All that it holds.</summary>
    public IEnumerable<Tensor?> Tensors => [_positions, _isLong];

    /// <param name="tables">Of the layer's rotations.</param>
    /// <param name="dtype">Of the heads.</param>
    /// <returns>[R, 1, r/2] each.</returns>
    public (Tensor Cosine, Tensor Sine) Angles(RotaryTables tables, ScalarType dtype)
    {
        var (cosine, sine) = Rows(isLong: false);
        if (_isLong is null)
        {
            return (cosine, sine);
        }

        var (longCosine, longSine) = Rows(isLong: true);
        return (where(_isLong, longCosine, cosine), where(_isLong, longSine, sine));

        (Tensor, Tensor) Rows(bool isLong)
        {
            var (cosines, sines) = tables.Of(_last + 1, isLong, dtype, _positions.device);
            return (cosines.index_select(0, _positions).unsqueeze(1), sines.index_select(0, _positions).unsqueeze(1));
        }
    }
}
