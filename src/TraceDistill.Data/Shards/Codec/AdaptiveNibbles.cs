using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// Adaptive probabilities of sixteen symbols, for each of a number of models. A model keeps a cumulative distribution in 1/32768 and after
/// each symbol moves it towards that symbol: fast while it has seen little, slowly later.
/// </summary>
/// <remarks>
/// A model is c[0…15], where c[i] is the probability of a symbol below i. All start at c[i] = 2048·i with seen = 0. After symbol s:
/// c[i] += (target − c[i]) >> rate (arithmetic shift), target = 8·i for i ≤ s and 32768 − 8·(16 − i) for i > s,
/// rate = <see cref="RateBySeen"/>[min(seen, 63)]; then seen += 1. No probability ever reaches zero. The scheme is Fabian Giesen's
/// (rANS with mixed cumulative distributions); one update is three instructions on a 256-bit vector.
/// </remarks>
sealed class AdaptiveNibbles
{
    public const int TotalBits = 15;
    const int Total = 1 << TotalBits;
    const int Symbols = 16;
    const int Floor = 8;

    static readonly Vector256<short> Uniform = Lanes(i => Total / Symbols * i);
    static readonly Vector256<short>[] Targets =
    [
        .. Enumerable.Range(0, Symbols).Select(symbol => Lanes(i => i <= symbol ? Floor * i : Total - Floor * (Symbols - i))),
    ];

    readonly Vector256<short>[] _cumulative;
    readonly byte[] _seen;

    public AdaptiveNibbles(int models)
    {
        _cumulative = new Vector256<short>[models];
        _seen = new byte[models];
        Reset();
    }

    /// <summary>Adaptation rate after 0, 1, … 63 symbols; the last one stays.</summary>
    static ReadOnlySpan<byte> RateBySeen =>
        [
            1,
            2,
            2,
            3,
            3,
            3,
            3,
            4,
            4,
            4,
            4,
            4,
            4,
            4,
            4,
            4,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            5,
            6,
        ];

    /// <summary>Forgets everything.</summary>
    public void Reset()
    {
        Array.Fill(_cumulative, Uniform);
        Array.Clear(_seen);
    }

    /// <summary>Where a symbol begins and how wide it is, in 1/32768.</summary>
    public (uint Start, uint Width) Interval(int model, int symbol)
    {
        var cumulative = MemoryMarshal.Cast<Vector256<short>, short>(_cumulative.AsSpan(model, 1));
        var start = (uint)cumulative[symbol];
        var end = symbol == Symbols - 1 ? Total : (uint)cumulative[symbol + 1];
        return (start, end - start);
    }

    /// <summary>The symbol whose interval holds <paramref name="position"/>, 0…32767.</summary>
    public int Find(int model, uint position)
    {
        var below = Vector256.LessThanOrEqual(_cumulative[model], Vector256.Create((short)position));
        return BitOperations.PopCount(below.ExtractMostSignificantBits()) - 1;
    }

    /// <summary>Learns that <paramref name="symbol"/> came.</summary>
    public void Update(int model, int symbol)
    {
        ref var cumulative = ref _cumulative[model];
        ref var seen = ref _seen[model];
        cumulative += Vector256.ShiftRightArithmetic(Targets[symbol] - cumulative, RateBySeen[seen]);
        if (seen < RateBySeen.Length - 1)
        {
            seen++;
        }
    }

    static Vector256<short> Lanes(Func<int, int> value) => Vector256.Create([.. Enumerable.Range(0, Symbols).Select(i => (short)value(i))]);
}
