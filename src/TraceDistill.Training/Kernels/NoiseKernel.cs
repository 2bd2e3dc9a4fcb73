using TraceDistill.Training.Models;

namespace TraceDistill.Training.Kernels;

/// <summary>What training adds to, or takes from, rows at random.</summary>
static unsafe class NoiseKernel
{
    const float Unit = 1f / (1L << 32);

    /// <summary>
    /// x ← x + ε with ε uniform in ±alpha/√(L·d), L being the length of the row's sequence (Jain et al., "NEFTune", arXiv 2310.05914, algorithm 1).
    /// </summary>
    /// <param name="x">[sum of <paramref name="lengths"/>, d].</param>
    /// <param name="noise">A row for each of x.</param>
    public static void AddUniform(float* x, IReadOnlyList<int> lengths, int d, double alpha, PassNoise noise, int purpose)
    {
        var row = 0;
        foreach (var length in lengths)
        {
            var bound = (float)(alpha / Math.Sqrt((double)length * d));
            for (var end = row + length; row < end; row++, x += d)
            {
                var random = noise.Stream(row, purpose);
                for (var c = 0; c < d; c++)
                {
                    x[c] += bound * (2 * Unit * (uint)(random.Next() >> 32) - 1);
                }
            }
        }
    }

    /// <summary>Dropout in place: each element becomes zero with probability <paramref name="rate"/>, else it is divided by 1 − rate.</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="noise">A row for each of x; the same noise and purpose drop the same elements.</param>
    public static void Drop(float* x, int rows, int columns, double rate, PassNoise noise, int purpose)
    {
        var limit = (ulong)(rate * (1L << 32));
        var scale = (float)(1 / (1 - rate));
        for (var row = 0; row < rows; row++, x += columns)
        {
            var random = noise.Stream(row, purpose);
            for (var c = 0; c < columns; c += 2)
            {
                var bits = random.Next();
                x[c] = (uint)bits < limit ? 0 : x[c] * scale;
                if (c + 1 < columns)
                {
                    x[c + 1] = bits >> 32 < limit ? 0 : x[c + 1] * scale;
                }
            }
        }
    }
}
