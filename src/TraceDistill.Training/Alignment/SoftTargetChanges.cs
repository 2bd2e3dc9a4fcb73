using System.Runtime.InteropServices;
using System.Security.Cryptography;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;

namespace TraceDistill.Training.Alignment;

/// <summary>Changes to a generation's soft targets on their way to a student with the same vocabulary.</summary>
public sealed record SoftTargetChanges
{
    /// <summary>Entries to keep of each row, at most what there are; null keeps all.</summary>
    public int? K { get; init; }

    /// <summary>Ids from here on name no token of the student's: they join the tail.</summary>
    public int VocabularySize { get; init; } = int.MaxValue;

    /// <summary>Undoes the temperature that the logprobs are of; null where they are the model's own.</summary>
    public TemperatureCorrection? Correction { get; init; }

    /// <summary>Tokens that end the teacher's generations and not the student's: their probability is that of <see cref="End"/>.</summary>
    public IReadOnlySet<int> ReplacedEnds { get; init; } = new HashSet<int>();

    /// <summary>The token that ends the student's generations.</summary>
    public int End { get; init; } = -1;

    /// <summary>Rows at the beginning that go, because the student's prompt writes their tokens.</summary>
    public int Skipped { get; init; }

    /// <summary>Rows put at the beginning of which nothing is known, for tokens that the teacher did not write.</summary>
    public int Untold { get; init; }

    /// <summary>True where <see cref="End"/> follows for certain, because the server kept the end to itself.</summary>
    public bool EndFollows { get; init; }

    /// <param name="logprobs">With its alternatives as arrays.</param>
    public SoftTargets Apply(TokenLogprobs logprobs)
    {
        logprobs = Correction?.Apply(logprobs) ?? logprobs;
        var targets = SoftTargets.From(ReplacedEnds.Count > 0 ? WithEnds(logprobs) : logprobs, K, VocabularySize);
        if (Skipped > 0 || Untold > 0)
        {
            targets = targets.WithoutFirst(Skipped).WithUntold(Untold);
        }

        return EndFollows ? targets.WithCertain(End) : targets;
    }

    public void AppendTo(IncrementalHash hash)
    {
        hash.AppendData(
            MemoryMarshal.AsBytes<int>([K ?? -1, VocabularySize, End, Skipped, Untold, EndFollows ? 1 : 0, .. ReplacedEnds.Order()])
        );
        Correction?.AppendTo(hash);
    }

    /// <summary>Each row with the teacher's ends as the student's; where a row has several ends, one with the probability of all.</summary>
    TokenLogprobs WithEnds(TokenLogprobs logprobs)
    {
        var k = logprobs.K;
        var (ids, values) = ((int[])logprobs.TopIds.Clone(), (float[])logprobs.TopLogprobs.Clone());
        for (var row = 0; row < logprobs.Count * k; row += k)
        {
            var (count, end, rank) = (SoftTargetRow.Count(ids.AsSpan(row, k)), 0.0, -1);
            var kept = 0;
            for (var i = 0; i < count; i++)
            {
                var (id, value) = (ids[row + i], values[row + i]);
                if (id == End || ReplacedEnds.Contains(id))
                {
                    end += Math.Exp(value);
                    if (rank >= 0)
                    {
                        continue;
                    }

                    (id, rank) = (End, kept);
                }

                (ids[row + kept], values[row + kept++]) = (id, value);
            }

            ids.AsSpan(row + kept, k - kept).Fill(-1);
            values.AsSpan(row + kept, k - kept).Fill(float.NegativeInfinity);
            if (rank >= 0)
            {
                // More probability may be a better rank.
                values[row + rank] = (float)Math.Log(end);
                for (var i = row + rank; i > row && values[i] > values[i - 1]; i--)
                {
                    (ids[i], ids[i - 1], values[i], values[i - 1]) = (ids[i - 1], ids[i], values[i - 1], values[i]);
                }
            }
        }

        return logprobs with
        {
            TopIds = ids,
            TopLogprobs = values,
            Encoded = null,
        };
    }
}
