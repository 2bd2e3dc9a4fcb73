using TraceDistill.Models.Configuration;

namespace TraceDistill.Models.Export;

/// <summary>
/// Adds up what rounding takes from an adapter: weights that came in 16 bits lie on their
/// grid, and what an adapter adds may be less than the distance to the next point.
/// </summary>
/// <param name="dtypeOf">How a merged weight is stored, by name.</param>
sealed class MergeRounding(Func<string, TensorDtype> dtypeOf)
{
    const int Piece = 1 << 16;

    readonly byte[] _bytes = new byte[Piece * sizeof(float)];
    readonly float[] _rounded = new float[Piece];
    float[] _before = [];
    double _added,
        _lost;

    /// <summary>‖rounded − merged‖ / ‖merged − base‖ over all merged weights; 0 where nothing was added.</summary>
    public double Share => _added > 0 ? Math.Sqrt(_lost / _added) : 0;

    /// <summary>Notes a weight of the base.</summary>
    public void Before(ReadOnlySpan<float> values)
    {
        if (_before.Length < values.Length)
        {
            _before = new float[values.Length];
        }

        values.CopyTo(_before);
    }

    /// <summary>Compares it with what it became.</summary>
    /// <param name="name">Its name.</param>
    public void After(string name, ReadOnlySpan<float> values)
    {
        var dtype = dtypeOf(name);
        for (var first = 0; first < values.Length; first += Piece)
        {
            var merged = values[first..Math.Min(first + Piece, values.Length)];
            var bytes = _bytes.AsSpan(0, merged.Length * dtype.Size());
            dtype.Encode(merged, bytes);
            dtype.Decode(bytes, _rounded);
            for (var i = 0; i < merged.Length; i++)
            {
                double added = merged[i] - _before[first + i],
                    lost = _rounded[i] - merged[i];
                _added += added * added;
                _lost += lost * lost;
            }
        }
    }
}
