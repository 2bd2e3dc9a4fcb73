using TraceDistill.Data.Determinism;

namespace TraceDistill.Models.Passes;

/// <summary>
/// The random numbers of one pass, a stream for each row and purpose: a pure function of seed,
/// step, sequence and position, whatever thread and micro-batch a token falls to, so that the
/// backward pass draws what the forward pass drew and a resumed run what it would have drawn.
/// </summary>
sealed class PassNoise
{
    readonly ulong[] _keys;

    PassNoise(ulong[] keys, double neftuneAlpha) => (_keys, NeftuneAlpha) = (keys, neftuneAlpha);

    /// <summary>Size of the noise on embeddings; 0 for none.</summary>
    public double NeftuneAlpha { get; }

    /// <param name="update">The optimizer step of which the pass is a part.</param>
    /// <param name="sequences">Index in the step's batch of each sequence of the pass.</param>
    /// <param name="lengths">Tokens of each.</param>
    /// <returns>A row for each token.</returns>
    public static PassNoise Create(UpdateNoise update, IReadOnlyList<int> sequences, IReadOnlyList<int> lengths)
    {
        var key = Mix(Mix((ulong)update.Seed) ^ (ulong)update.Step);
        return new PassNoise(
            [
                .. sequences
                    .Zip(lengths, (sequence, length) => (Key: Mix(key ^ (ulong)sequence), length))
                    .SelectMany(sequence => Enumerable.Range(0, sequence.length).Select(position => Mix(sequence.Key ^ (ulong)position))),
            ],
            update.NeftuneAlpha
        );
    }

    /// <summary>The noise of some rows alone.</summary>
    public PassNoise Of(int[] rows) => new([.. rows.Select(row => _keys[row])], NeftuneAlpha);

    /// <param name="row">The token.</param>
    /// <param name="purpose">Use of the numbers: they are independent of those for another purpose.</param>
    /// <returns>Where the row's stream of <see cref="SplitMix64"/> starts.</returns>
    public ulong Key(int row, int purpose) => Mix(_keys[row] ^ (ulong)purpose);

    static ulong Mix(ulong part) => new SplitMix64(part).Next();
}

/// <summary>Seeds that a step's dropout and NEFTune draw from.</summary>
/// <param name="Seed">The run's.</param>
/// <param name="Step">The optimizer step's number.</param>
/// <param name="NeftuneAlpha">Size of the noise on embeddings; 0 for none.</param>
public readonly record struct UpdateNoise(long Seed, long Step, double NeftuneAlpha);
