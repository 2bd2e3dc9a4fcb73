using TraceDistill.Data.Pictures;
using TraceDistill.Models.Passes;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Batching;

/// <summary>
/// Sequences laid one after another without padding, and what each trained token is to be. Here, and only here, the shift is made: the
/// token at position j is predicted by the output at j − 1.
/// </summary>
public sealed record PackedBatch
{
    /// <summary>[N] tokens of all sequences.</summary>
    public required int[] Ids { get; init; }

    /// <summary>Tokens of each sequence; attention and positions start anew in each.</summary>
    public required int[] Lengths { get; init; }

    /// <summary>[M] row of the output that predicts each trained token.</summary>
    public required int[] Rows { get; init; }

    /// <summary>[M] the trained tokens.</summary>
    public required int[] Targets { get; init; }

    /// <summary>[M + 1] where each trained token's soft targets start in <see cref="SoftIds"/>; equal neighbours mean none.</summary>
    public required int[] SoftStarts { get; init; }

    /// <summary>Soft-target ids of all trained tokens.</summary>
    public required int[] SoftIds { get; init; }

    /// <summary>Their log-probabilities.</summary>
    public required float[] SoftLogprobs { get; init; }

    /// <summary>[M] log-probability of everything else.</summary>
    public required float[] Tails { get; init; }

    /// <summary>[M + 1] where each trained token's probabilities start in <see cref="Unmatched"/>.</summary>
    public required int[] UnmatchedStarts { get; init; }

    /// <summary>Probabilities of the teacher's alternatives that the student has no token for, the largest first within a token.</summary>
    public required float[] Unmatched { get; init; }

    /// <summary>Soft targets of further stored teachers, in their order: those above are the first one's.</summary>
    public IReadOnlyList<PackedSoftTargets> Further { get; init; } = [];

    /// <summary>Input of the student.</summary>
    public TokenBatch Tokens => new(Ids, Lengths, Rows) { Pictures = Pictures };

    /// <summary>
    /// What teachers that are models read: the same completions, some behind a prompt of the teachers' own. Its wanted tokens are, one by
    /// one, those that predict <see cref="Targets"/>.
    /// </summary>
    /// <value><see cref="Tokens"/>.</value>
    public TokenBatch TeacherTokens
    {
        get => field ?? Tokens;
        init;
    }

    /// <summary>[M] true for tokens of a trace whose answer was found incorrect, where that counts; empty where it does not.</summary>
    public bool[] IsIncorrect { get; init; } = [];

    /// <summary>
    /// [M] true where <see cref="SoftIds"/> are tokens drawn from what the teacher says; empty where none are.
    /// </summary>
    public bool[] AreDraws { get; init; } = [];

    /// <summary>Pictures of the sequences, in their order; none where they are text.</summary>
    public IReadOnlyList<Picture> Pictures { get; init; } = [];

    /// <summary>Soft targets of all stored teachers.</summary>
    public IReadOnlyList<PackedSoftTargets> Stored =>
        [
            new()
            {
                Starts = SoftStarts,
                Ids = SoftIds,
                Logprobs = SoftLogprobs,
                Tails = Tails,
            },
            .. Further,
        ];

    /// <exception cref="ArgumentException">A sequence trains on its first token, which nothing predicts.</exception>
    public static PackedBatch Create(IReadOnlyList<TraceTokens> sequences)
    {
        var targetsOf = sequences.Select(sequence => sequence.Soft?.Read()).ToArray();
        var first = PackedSoftTargets.Of(sequences, targetsOf);
        var further = sequences.Max(sequence => sequence.Further.Count);
        var trained = sequences.Sum(sequence => sequence.Trained);
        var unmatchedCount = targetsOf.Sum(soft => soft?.Unmatched.Count(probability => probability > 0) ?? 0);
        var read = Read(sequences, sequence => sequence.Ids, sequence => sequence.FirstTrained) with
        {
            Pictures = [.. sequences.Select(sequence => sequence.Picture?.Read()).OfType<Picture>()],
        };
        var batch = new PackedBatch
        {
            Ids = read.Ids,
            Lengths = read.Lengths,
            Rows = read.Outputs,
            TeacherTokens = sequences.All(sequence => sequence.TeacherPrompt is null)
                ? read
                : Read(
                    sequences,
                    sequence => [.. PromptOf(sequence), .. sequence.Ids.AsSpan(sequence.FirstTrained)],
                    sequence => PromptOf(sequence).Length
                ),
            Targets = new int[trained],
            SoftStarts = first.Starts,
            SoftIds = first.Ids,
            SoftLogprobs = first.Logprobs,
            Tails = first.Tails,
            UnmatchedStarts = new int[trained + 1],
            Unmatched = new float[unmatchedCount],
            Further =
            [
                .. Enumerable
                    .Range(0, further)
                    .Select(teacher =>
                        PackedSoftTargets.Of(
                            sequences,
                            [.. sequences.Select(sequence => sequence.Further.ElementAtOrDefault(teacher)?.Read())]
                        )
                    ),
            ],
            Pictures = read.Pictures,
            IsIncorrect = sequences.Any(sequence => sequence.IsIncorrect) ? new bool[trained] : [],
            AreDraws = sequences.Any(sequence => sequence.AreDraws) ? new bool[trained] : [],
        };
        var m = 0;
        foreach (var (sequence, soft) in sequences.Zip(targetsOf))
        {
            for (var j = sequence.FirstTrained; j < sequence.Ids.Length; j++, m++)
            {
                batch.Targets[m] = sequence.Ids[j];
                batch.UnmatchedStarts[m + 1] = batch.UnmatchedStarts[m];
                if (soft is not null)
                {
                    batch.CopyUnmatched(soft, j - sequence.FirstTrained, m);
                }

                if (sequence.IsIncorrect)
                {
                    batch.IsIncorrect[m] = true;
                }

                if (sequence.AreDraws)
                {
                    batch.AreDraws[m] = true;
                }
            }
        }

        return batch;
    }

    static ReadOnlySpan<int> PromptOf(TraceTokens sequence) => sequence.TeacherPrompt ?? sequence.Ids.AsSpan(0, sequence.FirstTrained);

    /// <summary>Sequences as a model reads them.</summary>
    /// <param name="ids">Tokens of a sequence.</param>
    /// <param name="first">Index of its first completion token.</param>
    static TokenBatch Read(IReadOnlyList<TraceTokens> sequences, Func<TraceTokens, int[]> ids, Func<TraceTokens, int> first)
    {
        int[][] read = [.. sequences.Select(ids)];
        var (start, rows) = (0, new List<int>());
        foreach (var (tokens, sequence) in read.Zip(sequences))
        {
            var from = first(sequence);
            if (from < 1)
            {
                throw new ArgumentException("the first token of a sequence cannot be trained on", nameof(sequences));
            }

            rows.AddRange(Enumerable.Range(start + from - 1, tokens.Length - from));
            start += tokens.Length;
        }

        return new TokenBatch([.. read.SelectMany(tokens => tokens)], [.. read.Select(tokens => tokens.Length)], [.. rows]);
    }

    void CopyUnmatched(SoftTargets soft, int row, int m)
    {
        var first = row * soft.K;
        for (var i = first; i < soft.Unmatched.Length && i < first + soft.K && soft.Unmatched[i] > 0; i++)
        {
            Unmatched[UnmatchedStarts[m + 1]++] = soft.Unmatched[i];
        }
    }
}
