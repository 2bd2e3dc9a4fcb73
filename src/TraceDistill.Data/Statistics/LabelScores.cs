namespace TraceDistill.Data.Statistics;

/// <summary>How well labels are told: figures over items, each a text or a token, whose labels are known.</summary>
public sealed record LabelScores
{
    /// <summary>Items with a known label.</summary>
    public required int Count { get; init; }

    /// <summary>Items whose most probable label is the true one.</summary>
    public required int Correct { get; init; }

    /// <summary>Correct / Count.</summary>
    public double Accuracy => Count == 0 ? double.NaN : (double)Correct / Count;

    /// <summary>Mean over labels of 2·TP / (2·TP + FP + FN), those left out that occur neither in truth nor in predictions.</summary>
    public required double MacroF1 { get; init; }

    /// <summary>
    /// Mean −Σ p log q of the true distribution p and the predicted one q over items whose true labels are all predicted, nats; NaN where
    /// there are none.
    /// </summary>
    public required double Loss { get; init; }

    /// <summary>Expected calibration error of the most probable label, by 15 bins of equal width (<see cref="Calibration"/>).</summary>
    public required double Ece { get; init; }

    /// <summary>Mean KL(teacher ‖ model) at temperature 1 over all items that a teacher has labelled, nats; null where none has.</summary>
    public double? Kl { get; init; }

    /// <summary>Share of all items that a teacher has labelled whose most probable label is the teacher's; null where none has.</summary>
    public double? Agreement { get; init; }

    /// <summary>By label, in the order of the labels.</summary>
    public required IReadOnlyList<LabelCounts> Labels { get; init; }

    /// <summary>Measures predictions.</summary>
    /// <param name="labels">Names by id; behind those that are predicted there may be others, which occur in truth alone.</param>
    /// <param name="items">Of each item the true probabilities, where known, log-probabilities, and a teacher's or none.</param>
    public static LabelScores Of(IReadOnlyList<string> labels, IEnumerable<ScoredItem> items)
    {
        var (truths, hits, told) = (new int[labels.Count], new int[labels.Count], new int[labels.Count]);
        var calibration = new Calibration();
        var (loss, compared) = (0.0, 0);
        var (kl, agreed, taught) = (0.0, 0, 0);
        foreach (var item in items)
        {
            var best = Best(item.Predicted.Span);
            if (item.Taught.Length > 0)
            {
                (kl, taught) = (kl + Divergence(item.Taught.Span, item.Predicted.Span), taught + 1);
                agreed += Best(item.Taught.Span) == best ? 1 : 0;
            }

            if (item.Given.Length == 0)
            {
                continue;
            }

            var truth = Best(item.Given.Span);
            truths[truth]++;
            told[best]++;
            hits[truth] += truth == best ? 1 : 0;
            if (!item.Given.Span[item.Predicted.Length..].ContainsAnyExcept(0f))
            {
                (loss, compared) = (loss + CrossEntropy(item.Given.Span[..item.Predicted.Length], item.Predicted.Span), compared + 1);
            }

            if (Math.Exp(item.Predicted.Span[best]) is >= 0 and var confidence) // not of weights that are no numbers
            {
                calibration.Add(Math.Min(1, confidence), truth == best);
            }
        }

        LabelCounts[] counts = [.. labels.Select((label, id) => new LabelCounts(label, truths[id], told[id], hits[id]))];
        var seen = counts.Where(label => label.Count + label.Predicted > 0).ToList();
        var count = truths.Sum();
        return new LabelScores
        {
            Count = count,
            Correct = hits.Sum(),
            MacroF1 = seen.Count == 0 ? double.NaN : seen.Average(label => label.F1),
            Loss = compared == 0 ? double.NaN : loss / compared,
            Ece = calibration.Curve()?.Ece ?? double.NaN,
            Kl = taught == 0 ? null : kl / taught,
            Agreement = taught == 0 ? null : (double)agreed / taught,
            Labels = counts,
        };
    }

    /// <returns>The first of the largest.</returns>
    public static int Best(ReadOnlySpan<float> values)
    {
        var best = 0;
        for (var i = 1; i < values.Length; i++)
        {
            best = values[i] > values[best] ? i : best;
        }

        return best;
    }

    static double CrossEntropy(ReadOnlySpan<float> p, ReadOnlySpan<float> logQ)
    {
        var sum = 0.0;
        for (var i = 0; i < p.Length; i++)
        {
            sum -= p[i] > 0 ? p[i] * (double)logQ[i] : 0;
        }

        return sum;
    }

    static double Divergence(ReadOnlySpan<float> logP, ReadOnlySpan<float> logQ)
    {
        var sum = 0.0;
        for (var i = 0; i < logP.Length; i++)
        {
            sum += Math.Exp(logP[i]) * ((double)logP[i] - logQ[i]);
        }

        return sum;
    }
}

/// <summary>One item.</summary>
/// <param name="Given">[L or more] true probabilities; empty where not known.</param>
/// <param name="Predicted">[L] log-probabilities.</param>
/// <param name="Taught">Log-probabilities of a teacher; empty where there is none.</param>
public readonly record struct ScoredItem(ReadOnlyMemory<float> Given, ReadOnlyMemory<float> Predicted, ReadOnlyMemory<float> Taught);

/// <summary>One label.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Count">Items that have it.</param>
/// <param name="Predicted">Items that it was predicted for.</param>
/// <param name="Correct">Those that are in both.</param>
public sealed record LabelCounts(string Label, int Count, int Predicted, int Correct)
{
    /// <summary>2·TP / (2·TP + FP + FN); 0 where it occurs nowhere.</summary>
    public double F1 => Count + Predicted == 0 ? 0 : 2.0 * Correct / (Count + Predicted);
}
