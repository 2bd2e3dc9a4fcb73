using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>Decides which sequences make each batch: shuffled anew every epoch, whole sequences, a pure function of the seed.</summary>
public static class SequencePacker
{
    /// <summary>An endless series of batches, each a list of sequence indices, over epoch after epoch.</summary>
    /// <param name="lengths">Tokens of each sequence.</param>
    /// <param name="batchTokens">A batch is closed before it would exceed this; a longer sequence makes a batch of its own.</param>
    /// <param name="seed">Equal seeds give equal batches.</param>
    public static IEnumerable<int[]> Batches(IReadOnlyList<int> lengths, int batchTokens, long seed)
    {
        var batch = new List<int>();
        var tokens = 0L;
        for (var epoch = 0; ; epoch++)
        {
            foreach (var index in Shuffled(lengths.Count, seed, epoch))
            {
                if (batch.Count > 0 && tokens + lengths[index] > batchTokens)
                {
                    yield return [.. batch];
                    batch.Clear();
                    tokens = 0;
                }

                batch.Add(index);
                tokens += lengths[index];
            }
        }
    }

    /// <summary>The number of batches that together hold every sequence so many times.</summary>
    /// <param name="epochs">May be a fraction.</param>
    public static int BatchesOf(double epochs, IReadOnlyList<int> lengths, int batchTokens, long seed)
    {
        var (wanted, batches, seen) = (epochs * lengths.Count, 0, 0L);
        foreach (var batch in Batches(lengths, batchTokens, seed))
        {
            (seen, batches) = (seen + batch.Length, batches + 1);
            if (seen >= wanted || batches == int.MaxValue)
            {
                break;
            }
        }

        return batches;
    }

    /// <summary>As above, with the sequences themselves.</summary>
    public static IEnumerable<TraceTokens[]> Batches(IReadOnlyList<TraceTokens> sequences, int batchTokens, long seed) =>
        Batches([.. sequences.Select(sequence => sequence.Ids.Length)], batchTokens, seed).Select(indices => indices.Select(index => sequences[index]).ToArray());

    /// <summary>Cuts a batch, in order, into pieces of at most <paramref name="microBatchTokens"/> tokens (a longer sequence stands alone).</summary>
    public static IReadOnlyList<IReadOnlyList<T>> Split<T>(IReadOnlyList<T> batch, Func<T, int> length, int microBatchTokens)
    {
        var pieces = new List<IReadOnlyList<T>>();
        var piece = new List<T>();
        var tokens = 0;
        foreach (var sequence in batch)
        {
            if (piece.Count > 0 && tokens + length(sequence) > microBatchTokens)
            {
                pieces.Add(piece);
                piece = [];
                tokens = 0;
            }

            piece.Add(sequence);
            tokens += length(sequence);
        }

        if (piece.Count > 0)
        {
            pieces.Add(piece);
        }

        return pieces;
    }

    static int[] Shuffled(int count, long seed, int epoch)
    {
        var indices = Enumerable.Range(0, count).ToArray();
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed} epoch {epoch}"));
        new Random(BinaryPrimitives.ReadInt32LittleEndian(hash)).Shuffle(indices);
        return indices;
    }
}
