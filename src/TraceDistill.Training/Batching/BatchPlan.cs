namespace TraceDistill.Training.Batching;

/// <summary>
/// The order in which a training goes through its data: which groups are read and when, and which sequences make each batch. A pure
/// function of the sequences' lengths and the seed: no data is read to know it, and neither threads nor interruptions change it.
/// </summary>
/// <remarks>
/// Of several sets the one that is farthest behind its share of the tokens gives the next sequence, so that at any time each has its share
/// but for a sequence (as Megatron-LM blends data sets). A set that was gone through begins anew, in another order, whatever the others do.
/// </remarks>
/// <param name="sets">Sequences that are shuffled together, and their shares; none without a sequence.</param>
/// <param name="batchTokens">A batch is closed before it would exceed this; a longer sequence makes a batch of its own.</param>
/// <param name="seed">Equal seeds give equal batches.</param>
/// <param name="bufferBytes">
/// Memory for sequences that are mixed with each other. All sets have a part of it by their
/// shares; where all data fits it is mixed as a whole.
/// </param>
/// <param name="shareAt">
/// The share of each set's sequences, the easiest ones, that a batch draws from, by its number; null for all of them. The others are passed
/// over, so that each of the easiest comes once before one of them comes again.
/// </param>
sealed class BatchPlan(
    IReadOnlyList<SequenceSet> sets,
    int batchTokens,
    long seed,
    long bufferBytes = long.MaxValue,
    Func<long, double>? shareAt = null
)
{
    public IReadOnlyList<SequenceSet> Sets => sets;

    /// <summary>The endless series of batches.</summary>
    public IEnumerable<PlannedBatch> Batches()
    {
        var fits = sets.Sum(set => set.Bytes) <= bufferBytes;
        var weight = sets.Sum(set => set.Weight);
        SetOrder[] orders =
        [
            .. sets.Select(
                (set, index) =>
                    new SetOrder(
                        set,
                        index,
                        index == 0 ? $"{seed}" : $"{seed} set {index}",
                        fits ? Math.Max(1, set.Bytes) : (long)Math.Max(1, bufferBytes * (set.Weight / weight)),
                        isByDifficulty: shareAt is not null && !set.IsRehearsed
                    )
            ),
        ];
        var (steps, tokens, number) = (new List<BatchStep>(), 0L, 0L);
        while (true)
        {
            var next = orders.MinBy(order => order.Drawn / order.Weight)!;
            if (next.IsByDifficulty)
            {
                next.Seek(shareAt!(number), steps);
            }

            if (tokens > 0 && tokens + next.NextLength > batchTokens)
            {
                yield return new PlannedBatch(steps, tokens);
                (steps, tokens, number) = ([], 0, number + 1);
            }

            tokens += next.Draw(steps);
        }
    }

    /// <summary>The number of batches that together have so many times the tokens of all sets but those that are rehearsed.</summary>
    /// <param name="epochs">
    /// May be a fraction. Of one set it is how often each sequence comes; of several with other shares than their sizes, on the average.
    /// </param>
    public int UpdatesOf(double epochs)
    {
        var (wanted, batches, seen) = (epochs * sets.Where(set => !set.IsRehearsed).Sum(set => set.Tokens), 0, 0L);
        foreach (var batch in Batches())
        {
            var old = batch.Sequences.Where(step => sets[step.Set].IsRehearsed).Sum(step => (long)LengthOf(step));
            (seen, batches) = (seen + batch.Tokens - old, batches + 1);
            if (seen >= wanted || batches == int.MaxValue)
            {
                break;
            }
        }

        return batches;

        int LengthOf(BatchStep step) => sets[step.Set].Groups[step.Group].Lengths[step.Row];
    }
}

/// <summary>A batch before it is read.</summary>
/// <param name="Steps">Steps that make it, in order.</param>
/// <param name="Tokens">Tokens of its sequences.</param>
sealed record PlannedBatch(IReadOnlyList<BatchStep> Steps, long Tokens)
{
    /// <summary>The sequences.</summary>
    public IEnumerable<BatchStep> Sequences => Steps.Where(step => step.Kind is BatchStepKind.Use or BatchStepKind.Take);
}

/// <summary>Steps of reading a group.</summary>
enum BatchStepKind
{
    /// <summary>It is read.</summary>
    Load,

    /// <summary>A sequence joins the batch, and is needed again before the group is read another time.</summary>
    Use,

    /// <summary>A sequence joins the batch and is needed no more.</summary>
    Take,

    /// <summary>A sequence is passed over, and is needed no more before the group is read another time.</summary>
    Skip,

    /// <summary>It is let go.</summary>
    Unload,
}

/// <param name="Kind">Kind of step.</param>
/// <param name="Set">Number of the set.</param>
/// <param name="Group">Number of the group within it.</param>
/// <param name="Row">Number of the sequence within that, where it is about one.</param>
readonly record struct BatchStep(BatchStepKind Kind, int Set, int Group, int Row = -1);
