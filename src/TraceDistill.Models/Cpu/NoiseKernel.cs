using System.Runtime.Intrinsics;
using TraceDistill.Models.Passes;

namespace TraceDistill.Models.Cpu;

/// <summary>Dropout by random numbers that belong to a row.</summary>
static unsafe class NoiseKernel
{
    const ulong Golden = 0x9E3779B97F4A7C15;
    static readonly Vector512<ulong> FirstStates = Vector512<ulong>.Indices * Golden + Vector512.Create(Golden);

    /// <summary>
    /// Dropout in place: each element becomes zero with probability <paramref name="rate"/>, else it is divided by 1 − rate.
    /// </summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="noise">A row for each of x; the same noise and purpose drop the same elements.</param>
    public static void Drop(float* x, int rows, int columns, double rate, PassNoise noise, int purpose)
    {
        var (limit, scale) = (Vector512.Create((uint)(rate * (1L << 32))), Vector512.Create((float)(1 / (1 - rate))));
        Span<float> last = stackalloc float[Vector512<float>.Count];
        for (var row = 0; row < rows; row++, x += columns)
        {
            var state = Vector512.Create(noise.Key(row, purpose)) + FirstStates;
            var c = 0;
            for (
                ;
                c <= columns - Vector512<float>.Count;
                c += Vector512<float>.Count, state += Vector512.Create(unchecked((ulong)Vector512<ulong>.Count * Golden))
            )
            {
                Kept(Vector512.Load(x + c)).Store(x + c);
            }

            var rest = new Span<float>(x + c, columns - c);
            rest.CopyTo(last);
            Kept(Vector512.Create<float>(last)).CopyTo(last);
            last[..rest.Length].CopyTo(rest);

            Vector512<float> Kept(Vector512<float> values) =>
                Vector512.ConditionalSelect(
                    Vector512.GreaterThanOrEqual(Mix(state).AsUInt32(), limit).AsSingle(),
                    values * scale,
                    Vector512<float>.Zero
                );
        }
    }

    /// <summary>Eight steps of SplitMix64 at once: the numbers of its stream, each for two elements.</summary>
    static Vector512<ulong> Mix(Vector512<ulong> z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
