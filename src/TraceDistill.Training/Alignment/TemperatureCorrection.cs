using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Codec;

namespace TraceDistill.Training.Alignment;

// T = sampling temperature, V = vocabulary, n = alternatives of a row, q = reported
// probabilities, p = the model's own, m = 1 − Σ q, the tail

/// <summary>The way back from logprobs that a server reports after its sampling temperature to the model's own distribution.</summary>
/// <remarks>
/// <para>
/// q ∝ p^(1/T), so p ∝ q^T. Exact: how much likelier one alternative is than another, whatever was left out, and all of it
/// where the alternatives are the whole vocabulary. An estimate: how much probability is outside them, since Σ q^T over the
/// tail depends on how the mass m is spread there, from m·q_n^(T−1) (as few tokens as can be) to (V−n)^(1−T)·m^T (all alike).
/// </para>
/// <para>
/// The estimate takes the tail for a power law that goes on where the alternatives end, q_r = q_n (r/n)^(−s) for the ranks
/// r = n+1 … V, with s such that the tail sums to m; so it lies between the bounds, and is exact for a teacher whose ranks
/// follow Zipf's law. A drawn token outside the alternatives, whose probability is known, is taken out of the tail first.
/// </para>
/// </remarks>
public sealed class TemperatureCorrection
{
    /// <summary>Ranks of the tail that are summed one by one; the rest is an integral.</summary>
    const int Summed = 6;

    /// <summary>Halvings of the interval in which s lies: far below what 16-bit logits tell.</summary>
    const int Halvings = 26;

    /// <summary>The largest exponent: e^(−this) of q_n stands at the first rank of the tail.</summary>
    const double Steepest = 50;

    readonly double _temperature;
    readonly int _vocabularySize;

    /// <param name="temperature">T, above 0.</param>
    /// <param name="vocabularySize">V.</param>
    public TemperatureCorrection(double temperature, int vocabularySize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(temperature);
        (_temperature, _vocabularySize) = (temperature, vocabularySize);
    }

    /// <summary>
    /// The correction that a data set needs; null for the model's own logprobs, and at
    /// temperature 0, at which servers take the best token and scale nothing.
    /// </summary>
    public static TemperatureCorrection? For(DatasetDescription dataset, int vocabularySize) =>
        dataset is { Logprobs: LogprobKind.Processed, Temperature: > 0 and not 1 }
            ? new TemperatureCorrection(dataset.Temperature, dataset.VocabularySize ?? vocabularySize)
            : null;

    /// <summary>The same alternatives and drawn tokens with the model's own logprobs.</summary>
    /// <param name="logprobs">With its alternatives as arrays; unchanged.</param>
    public TokenLogprobs Apply(TokenLogprobs logprobs)
    {
        var k = logprobs.K;
        var (drawn, top) = ((float[])logprobs.Logprobs.Clone(), (float[])logprobs.TopLogprobs.Clone());
        for (var t = 0; t < logprobs.Count; t++)
        {
            var ids = logprobs.TopIds.AsSpan(t * k, k);
            var row = top.AsSpan(t * k, SoftTargetRow.Count(ids));
            var partition = LogPartition(row, ids.Contains(logprobs.TokenIds[t]) ? double.NegativeInfinity : drawn[t]);
            foreach (ref var logprob in row)
            {
                logprob = (float)((_temperature * logprob) - partition);
            }

            drawn[t] = (float)((_temperature * drawn[t]) - partition);
        }

        return logprobs with
        {
            Logprobs = drawn,
            TopLogprobs = top,
            Encoded = null,
        };
    }

    public void AppendTo(IncrementalHash hash)
    {
        hash.AppendData(MemoryMarshal.AsBytes<double>([_temperature]));
        hash.AppendData(MemoryMarshal.AsBytes<int>([_vocabularySize]));
    }

    /// <summary>log Σ q^T over the vocabulary.</summary>
    /// <param name="row">[n] log q, descending.</param>
    /// <param name="drawn">log q of a token outside the row; −∞ for none.</param>
    double LogPartition(ReadOnlySpan<float> row, double drawn)
    {
        if (row.IsEmpty)
        {
            return 0;
        }

        // All but the largest is at most e⁰: nothing overflows.
        double largest = row[0],
            sum = 0;
        foreach (var logprob in row)
        {
            sum += Math.Exp(_temperature * (logprob - largest));
        }

        // In logarithms: at a low temperature q_n itself is below the smallest number that is not zero.
        double mass = TailMass.Logprob(row, keepsLeast: true);
        var ranks = _vocabularySize - row.Length;
        if (!double.IsNegativeInfinity(drawn))
        {
            sum += Math.Exp(_temperature * (drawn - largest));
            (mass, ranks) = (drawn < mass ? mass + Math.Log(1 - Math.Exp(drawn - mass)) : double.NegativeInfinity, ranks - 1);
        }

        if (!double.IsNegativeInfinity(mass) && ranks > 0)
        {
            // No token of the tail is likelier than the last alternative: where its mass says so, that is rounding.
            var inLast = Math.Exp(Math.Min(mass - row[^1], Math.Log(ranks)));
            sum += Math.Exp(_temperature * (row[^1] - largest)) * Tail(inLast, row.Length, ranks);
        }

        return (_temperature * largest) + Math.Log(sum);
    }

    /// <summary>Σ (q_r/q_n)^T over the tail.</summary>
    /// <param name="mass">The tail's mass, in q_n; at most <paramref name="ranks"/>.</param>
    /// <param name="n">Alternatives before it.</param>
    /// <param name="ranks">Tokens in it.</param>
    double Tail(double mass, int n, int ranks)
    {
        double low = 0,
            high = Steepest / Math.Log((n + 1.0) / n);
        for (var i = 0; i < Halvings; i++)
        {
            var middle = (low + high) / 2;
            (low, high) = PowerSum(middle, n, ranks) > mass ? (middle, high) : (low, middle);
        }

        return PowerSum((low + high) / 2 * _temperature, n, ranks);
    }

    /// <summary>
    /// Σ (r/n)^(−s) for r = n+1 … n+ranks: the first few terms, and the integral of the others (the midpoint rule read backwards).
    /// </summary>
    static double PowerSum(double s, int n, int ranks)
    {
        var (sum, terms) = (0.0, Math.Min(Summed, ranks));
        for (var r = n + 1; r <= n + terms; r++)
        {
            sum += Math.Exp(-s * Math.Log((double)r / n));
        }

        if (terms == ranks)
        {
            return sum;
        }

        double first = Math.Log((n + terms + 0.5) / n),
            last = Math.Log((n + ranks + 0.5) / n);
        var exponent = 1 - s;
        return sum + (n * (Math.Abs(exponent) < 1e-9 ? last - first : (Math.Exp(exponent * last) - Math.Exp(exponent * first)) / exponent));
    }
}
