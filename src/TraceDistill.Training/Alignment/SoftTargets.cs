using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Data.Generation;

namespace TraceDistill.Training.Alignment;

/// <summary>Teacher distributions in the student's token ids, one row for each trained token, in the order of the tokens.</summary>
/// <remarks>
/// k entries a row; an entry with id −1 is absent. Row r is the distribution from which trained token r was drawn: nothing is shifted.
/// </remarks>
public sealed record SoftTargets : ISoftTargetSource
{
    /// <summary>Entries per row.</summary>
    public required int K { get; init; }

    /// <summary>[rows × k].</summary>
    public required int[] Ids { get; init; }

    /// <summary>
    /// [rows × k] natural-log probabilities under the distribution that the teacher reported; −∞ where an entry is absent.
    /// </summary>
    public required float[] Logprobs { get; init; }

    /// <summary>[rows] log of the probability of everything that is not among the row's entries; −∞ where nothing is left.</summary>
    public required float[] Tail { get; init; }

    /// <summary>
    /// [rows × k] probabilities, the largest first, of alternatives that are no token of the
    /// student's; 0 where there are no more. Empty where teacher and student share a vocabulary.
    /// </summary>
    public float[] Unmatched { get; init; } = [];

    /// <summary>Soft targets of a generation whose ids are the student's own, the best k of each row.</summary>
    /// <param name="logprobs">The teacher's logprobs.</param>
    /// <param name="k">Entries to keep, at most what there are; null keeps all.</param>
    /// <param name="vocabularySize">
    /// Ids from here on are rows of the teacher's padded embedding, which name no token: they join the tail.
    /// </param>
    public static SoftTargets From(TokenLogprobs logprobs, int? k = null, int vocabularySize = int.MaxValue)
    {
        int given = logprobs.K,
            kept = Math.Min(k ?? given, given),
            rows = logprobs.Count;
        var targets = new SoftTargets
        {
            K = kept,
            Ids = new int[rows * kept],
            Logprobs = new float[rows * kept],
            Tail = new float[rows],
        };
        Array.Fill(targets.Ids, -1);
        Array.Fill(targets.Logprobs, float.NegativeInfinity);
        for (var row = 0; row < rows; row++)
        {
            var (next, end) = (row * kept, (row + 1) * kept);
            for (var i = row * given; i < (row + 1) * given && next < end; i++)
            {
                // A server that tells of a token twice tells of one alternative.
                if (
                    logprobs.TopIds[i] is >= 0 and var id
                    && id < vocabularySize
                    && !targets.Ids.AsSpan(row * kept, next - (row * kept)).Contains(id)
                )
                {
                    (targets.Ids[next], targets.Logprobs[next++]) = (id, logprobs.TopLogprobs[i]);
                }
            }

            targets.Tail[row] = TailMass.Logprob(targets.Logprobs.AsSpan(row * kept, kept));
        }

        return targets;
    }

    /// <summary>The same with one row more: a token that was drawn for certain, of which nothing else is known.</summary>
    public SoftTargets WithCertain(int id)
    {
        var (present, absent) = (Math.Min(K, 1), Math.Max(K - 1, 0));
        return new SoftTargets
        {
            K = K,
            Ids = [.. Ids, .. Enumerable.Repeat(id, present), .. Enumerable.Repeat(-1, absent)],
            Logprobs = [.. Logprobs, .. Enumerable.Repeat(0f, present), .. Enumerable.Repeat(float.NegativeInfinity, absent)],
            Tail = [.. Tail, float.NegativeInfinity],
        };
    }

    /// <summary>The same without the first rows.</summary>
    public SoftTargets WithoutFirst(int rows) =>
        this with
        {
            Ids = Ids[(rows * K)..],
            Logprobs = Logprobs[(rows * K)..],
            Tail = Tail[rows..],
        };

    /// <summary>The same behind rows of which nothing is known: their tokens have the hard loss alone.</summary>
    public SoftTargets WithUntold(int rows) =>
        this with
        {
            Ids = [.. Enumerable.Repeat(-1, rows * K), .. Ids],
            Logprobs = [.. Enumerable.Repeat(float.NegativeInfinity, rows * K), .. Logprobs],
            Tail = [.. new float[rows], .. Tail],
        };

    /// <summary>Returns the number of a row's entries before the first absent one; 0 where nothing is known of its token.</summary>
    public int Present(int row)
    {
        var absent = Ids.AsSpan(row * K, K).IndexOfAnyInRange(int.MinValue, -1);
        return absent < 0 ? K : absent;
    }

    public long Bytes => sizeof(int) * ((long)Ids.Length + Logprobs.Length + Tail.Length + Unmatched.Length);

    public SoftTargets Read() => this;

    public void AppendTo(IncrementalHash hash)
    {
        hash.AppendData(MemoryMarshal.AsBytes<int>(Ids));
        hash.AppendData(MemoryMarshal.AsBytes<float>(Logprobs));
        hash.AppendData(MemoryMarshal.AsBytes<float>(Tail));
    }
}
