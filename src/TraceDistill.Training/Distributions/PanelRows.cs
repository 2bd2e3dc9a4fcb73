using System.Runtime.InteropServices;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Batching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, M = teachers, N = most tokens of a row that any of them reported (at least 1), V = vocabulary,
// O = outcomes: N + 1, or V where a teacher is a model

/// <summary>What several teachers say of a chunk of tokens, over outcomes that all have.</summary>
/// <remarks>
/// Where all are stored, the outcomes are the tokens that any of them reported, and all others as one; else the whole vocabulary. A token
/// that a teacher did not report has a share of its tail: the tail spread evenly over all that it did not report, and no more than the
/// least probability above 10⁻⁸ that it did report. What is over stays in the tail; over a whole vocabulary, where there is none, the row
/// is normalised.
/// </remarks>
public sealed record PanelRows
{
    readonly double[] _weights; // [R · M]

    PanelRows(
        IReadOnlyList<PackedSoftTargets> stored,
        bool[] isIncorrect,
        int first,
        int rows,
        IReadOnlyList<PanelMember> members,
        Device device
    )
    {
        _weights = new double[rows * members.Count];
        var hasSoft = new double[rows];
        for (var row = 0; row < rows; row++)
        {
            var weights = _weights.AsSpan(row * members.Count, members.Count);
            for (var index = 0; index < members.Count; index++)
            {
                var isSilent = members[index].Stored is { } told && stored[told].Count(first + row) == 0;
                weights[index] =
                    isSilent ? 0
                    : isIncorrect.Length > 0 && isIncorrect[first + row] ? members[index].IncorrectWeight
                    : members[index].Weight;
            }

            hasSoft[row] = weights.ContainsAnyExcept(0) ? 1 : 0;
            SoftTokens += (int)hasSoft[row];
        }

        Weights = tensor(_weights).Aligned().reshape(rows, members.Count).to(device);
        HasSoft = tensor(hasSoft).Aligned().to(device);
    }

    /// <summary>M times [R, O]: log-probabilities at T = 1, −∞ for what cannot be; in float64, over a whole vocabulary in
    /// float32.</summary>
    public IReadOnlyList<Tensor> LogProbabilities { get; private init; } = [];

    /// <summary>[R, N] of int64: the reported tokens, filled up with one of them; null where the outcomes are the vocabulary.</summary>
    public Tensor? Ids { get; private init; }

    /// <summary>[R, N] of bool: false for filling; null where the outcomes are the vocabulary.</summary>
    public Tensor? IsPresent { get; private init; }

    /// <summary>[R, M] of float64: weights of the teachers beside each other, 0 for one that says nothing of a token.</summary>
    public Tensor Weights { get; }

    /// <summary>[R] of float64: 1 where a teacher with a weight says something; else 0, and the distributions mean nothing.</summary>
    public Tensor HasSoft { get; }

    /// <summary>Tokens of which a teacher with a weight says something.</summary>
    public int SoftTokens { get; }

    /// <param name="batch">With the stored soft targets.</param>
    /// <param name="first">The first token.</param>
    /// <param name="rows">R.</param>
    /// <param name="members">The teachers.</param>
    /// <param name="models">[R, Vₜ] logits of those that are models, in their order; of a padded vocabulary the first V count.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="device">Where the rows are to be.</param>
    public static PanelRows Of(
        PackedBatch batch,
        int first,
        int rows,
        IReadOnlyList<PanelMember> members,
        IReadOnlyList<Tensor> models,
        long vocabulary,
        Device device
    )
    {
        using var noGrad = no_grad();
        // A batch of worked solutions alone has none of what is stored of traces.
        var stored = batch.Stored.ToList();
        while (stored.Count <= members.Max(member => member.Stored ?? 0))
        {
            stored.Add(PackedSoftTargets.None(batch.Targets.Length));
        }

        var panel = new PanelRows(stored, batch.IsIncorrect, first, rows, members, device);
        if (models.Count == 0)
        {
            return panel.Named(stored, batch.Targets, first, members, vocabulary, device);
        }

        // Words that no model of a smaller vocabulary has are left to whoever compares.
        var words = members.Count > models.Count ? vocabulary : Math.Min(vocabulary, models.Max(logits => logits.shape[1]));
        var next = 0;
        return panel with
        {
            LogProbabilities =
            [
                .. members.Select(
                    (member, index) =>
                        member.Stored is { } told
                            ? panel.Spread(stored[told], first, index, members.Count, vocabulary, device)
                            : Normalized(models[next++], words)
                ),
            ],
        };
    }

    /// <summary>Log-probabilities over the first words; −∞ for those that a model does not have.</summary>
    static Tensor Normalized(Tensor logits, long words)
    {
        var missing = words - logits.shape[1];
        var own = (missing < 0 ? logits.narrow(1, 0, words) : logits).log_softmax(1);
        return missing <= 0 ? own : cat([own, Arithmetic.NegativeInfinities([own.shape[0], missing], ScalarType.Float32, own.device)], 1);
    }

    /// <summary>Stored soft targets over the whole vocabulary.</summary>
    Tensor Spread(PackedSoftTargets told, int first, int member, int members, long vocabulary, Device device)
    {
        var rows = (int)HasSoft.shape[0];
        var k = Math.Max(1, Enumerable.Range(first, rows).Max(told.Count));
        var (ids, values, shares) = (new long[rows * k], new float[rows * k], new float[rows]);
        for (var row = 0; row < rows; row++)
        {
            var count = _weights[(row * members) + member] > 0 ? told.Count(first + row) : 0;
            var reported = told.IdsOf(first + row);
            var logprobs = told.LogprobsOf(first + row);
            var share = count == 0 ? -Math.Log(vocabulary) : Share(logprobs, told.Tails[first + row], vocabulary);
            shares[row] = (float)share;
            for (var i = 0; i < k; i++)
            {
                // Filling repeats the first, so that the order of writing is of no matter.
                var at = i < count ? i : 0;
                ids[(row * k) + i] = count > 0 ? reported[at] : 0;
                values[(row * k) + i] = count > 0 ? logprobs[at] : (float)share;
            }
        }

        var all = tensor(shares).to(device).unsqueeze(1).expand(rows, vocabulary).clone();
        return all.scatter_(1, tensor(ids).reshape(rows, k).to(device), tensor(values).reshape(rows, k).to(device)).log_softmax(1);
    }

    /// <summary>Stored soft targets of all over the tokens that any of them reported.</summary>
    PanelRows Named(
        List<PackedSoftTargets> stored,
        int[] drawn,
        int first,
        IReadOnlyList<PanelMember> members,
        long vocabulary,
        Device device
    )
    {
        var rows = (int)HasSoft.shape[0];
        var unions = Enumerable.Range(0, rows).Select(row => Union(stored, drawn[first + row], first, row, members)).ToArray();
        var n = unions.Max(union => union.Count);
        var (ids, isPresent) = (new long[rows * n], new bool[rows * n]);
        var logprobs = members.Select(_ => new double[rows * (n + 1)]).ToArray();
        foreach (var (row, union) in unions.Index())
        {
            for (var i = 0; i < n; i++)
            {
                ids[(row * n) + i] = union[i < union.Count ? i : 0];
                isPresent[(row * n) + i] = i < union.Count;
            }

            foreach (var (index, member) in members.Index())
            {
                var entries = logprobs[index].AsSpan(row * (n + 1), n + 1);
                entries.Fill(double.NegativeInfinity);
                if (_weights[(row * members.Count) + index] > 0)
                {
                    Write(stored[member.Stored!.Value], first + row, union, vocabulary, entries);
                }
                else
                {
                    entries[0] = 0; // of no weight, and finite
                }
            }
        }

        return this with
        {
            Ids = tensor(ids).reshape(rows, n).to(device),
            IsPresent = tensor(isPresent).reshape(rows, n).to(device),
            // They come in float32, whose rounding is no more or less probability.
            LogProbabilities = [.. logprobs.Select(values => tensor(values).Aligned().reshape(rows, n + 1).to(device).log_softmax(1))],
        };
    }

    /// <summary>The tokens that any teacher with a weight reported, each once; the drawn one where none did.</summary>
    List<int> Union(List<PackedSoftTargets> stored, int drawn, int first, int row, IReadOnlyList<PanelMember> members)
    {
        var union = new List<int>();
        foreach (var (index, member) in members.Index())
        {
            if (_weights[(row * members.Count) + index] > 0)
            {
                foreach (var id in stored[member.Stored!.Value].IdsOf(first + row))
                {
                    if (!CollectionsMarshal.AsSpan(union).Contains(id))
                    {
                        union.Add(id);
                    }
                }
            }
        }

        return union.Count > 0 ? union : [drawn];
    }

    /// <summary>One teacher's row over the union; its tail last.</summary>
    static void Write(PackedSoftTargets told, int m, List<int> union, long vocabulary, Span<double> entries)
    {
        var ids = told.IdsOf(m);
        var logprobs = told.LogprobsOf(m);
        double tail = told.Tails[m];
        var share = Share(logprobs, tail, vocabulary);
        for (var i = 0; i < union.Count; i++)
        {
            entries[i] = ids.IndexOf(union[i]) is >= 0 and var at ? logprobs[at] : share;
        }

        var shared = (union.Count - ids.Length) * Math.Exp(share - tail); // of the tail, from 0 to 1
        entries[^1] = double.IsNegativeInfinity(tail) || shared >= 1 ? double.NegativeInfinity : tail + Math.Log(1 - shared);
    }

    /// <summary>Log-probability of each token that a teacher did not report; −∞ where nothing is left.</summary>
    static double Share(ReadOnlySpan<float> logprobs, double tail, long vocabulary)
    {
        var others = vocabulary - logprobs.Length;
        if (others <= 0 || double.IsNegativeInfinity(tail))
        {
            return double.NegativeInfinity;
        }

        var least = double.PositiveInfinity;
        foreach (var logprob in logprobs)
        {
            // A reported zero is a number that was rounded, and no bound.
            least = logprob < Math.Log(Outcomes.LeastProbability) ? least : Math.Min(least, logprob);
        }

        return Math.Min(tail - Math.Log(others), least);
    }
}
