using System.Runtime.InteropServices;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Batching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, K = most soft targets that one of them has (at least 1), U = most unmatched alternatives, V = vocabulary

/// <summary>
/// Targets of a chunk of tokens: the drawn tokens, and the teacher's distributions. Rows of fewer than K entries are filled up.
/// </summary>
public sealed record TargetRows
{
    TargetRows(PackedBatch batch, int first, int rows, Device device)
    {
        Rows = rows;
        var k = Math.Max(1, Enumerable.Range(first, rows).Max(m => batch.SoftStarts[m + 1] - batch.SoftStarts[m]));
        var (ids, isPresent) = (empty(rows, k, dtype: ScalarType.Int64), empty(rows, k, dtype: ScalarType.Bool));
        var (logprobs, drawn) = (empty(rows, k + 1, dtype: ScalarType.Float64), empty(rows, 1, dtype: ScalarType.Int64));
        var (hasSoft, isStated) = (empty(rows, dtype: ScalarType.Float64), empty(rows, dtype: ScalarType.Float64));
        Span<long> allIds = Elements<long>(ids),
            allDrawn = Elements<long>(drawn);
        Span<double> allLogprobs = Elements<double>(logprobs),
            allSoft = Elements<double>(hasSoft),
            allStated = Elements<double>(isStated);
        var allPresent = Elements<bool>(isPresent);
        for (var row = 0; row < rows; row++)
        {
            var (m, start) = (first + row, batch.SoftStarts[first + row]);
            var count = batch.SoftStarts[m + 1] - start;
            var rowIds = allIds.Slice(row * k, k);
            var rowPresent = allPresent.Slice(row * k, k);
            var rowLogprobs = allLogprobs.Slice(row * (k + 1), k + 1);
            // A token without soft targets gets a distribution that means nothing and is finite: all on the drawn token.
            rowIds.Fill(count > 0 ? batch.SoftIds[start] : batch.Targets[m]);
            rowLogprobs.Fill(double.NegativeInfinity);
            rowPresent.Clear();
            (rowPresent[0], rowLogprobs[0], rowLogprobs[k]) = (true, 0, count > 0 ? batch.Tails[m] : double.NegativeInfinity);
            for (var i = 0; i < count; i++)
            {
                (rowIds[i], rowLogprobs[i], rowPresent[i]) = (batch.SoftIds[start + i], batch.SoftLogprobs[start + i], true);
            }

            var states = count > 0 && (batch.AreDraws.Length == 0 || !batch.AreDraws[m]);
            (allDrawn[row], allSoft[row], allStated[row]) = (batch.Targets[m], count > 0 ? 1 : 0, states ? 1 : 0);
            SoftTokens += count > 0 ? 1 : 0;
            StatedTokens += states ? 1 : 0;
        }

        (Ids, IsPresent, LogProbabilities) = (ids.to(device), isPresent.to(device), logprobs.to(device));
        (Drawn, HasSoft, IsStated) = (drawn.to(device), hasSoft.to(device), isStated.to(device));
        Unmatched = ReadUnmatched(batch, first, rows, device);
    }

    /// <summary>R.</summary>
    public int Rows { get; }

    /// <summary>Tokens among them that have soft targets.</summary>
    public int SoftTokens { get; private init; }

    /// <summary>Tokens among them of which it is known how probable the teacher finds them: all but stored draws.</summary>
    internal int StatedTokens { get; private init; }

    /// <summary>The teacher's report, before a policy made targets of it.</summary>
    internal TargetRows Stated => Origin ?? this;

    TargetRows? Origin { get; init; }

    /// <summary>True where the targets are tokens drawn of what it said.</summary>
    internal bool AreDrawn { get; private init; }

    /// <summary>True where teacher and student are both compared within the reported tokens alone.</summary>
    internal bool AreConditional { get; private init; }

    /// <summary>
    /// [R, V] of float32: the teacher's log-probabilities of the student's whole vocabulary at T = 1, up to a constant in each row, −∞ for
    /// tokens that it does not have; null where only some tokens are reported.
    /// </summary>
    public Tensor? Dense { get; private init; }

    /// <summary>The first words, which the teacher's output has, where there is <see cref="Dense"/>.</summary>
    public long KnownWords { get; private init; }

    /// <summary>[R, 1] of int64: the tokens that were drawn.</summary>
    public Tensor Drawn { get; }

    /// <summary>
    /// [R, K] of int64: the tokens that the teacher reported; filled up with one of them, or with the drawn token where it reported none.
    /// </summary>
    public Tensor Ids { get; private init; }

    /// <summary>[R, K] false for filling.</summary>
    public Tensor IsPresent { get; private init; }

    /// <summary>
    /// [R, K + 1] of float64: their log-probabilities at T = 1, −∞ for filling, and last of all other tokens together, −∞ for none.
    /// </summary>
    public Tensor LogProbabilities { get; private init; }

    /// <summary>[R, K + 1] of bool: true for filling, false for all other tokens together.</summary>
    internal Tensor IsAbsent => cat([~IsPresent, zeros(Rows, 1, dtype: ScalarType.Bool, device: Ids.device)], 1);

    /// <summary>[R, K] of float64: those of the reported tokens alone.</summary>
    public Tensor Reported => LogProbabilities.narrow(1, 0, Ids.shape[1]);

    /// <summary>[R] of float64: 1 where the teacher reported anything, else 0.</summary>
    public Tensor HasSoft { get; private init; }

    /// <summary>[R] of float64: 1 for <see cref="StatedTokens"/>, else 0.</summary>
    internal Tensor IsStated { get; private init; }

    /// <summary>
    /// [R, U] of float64: probabilities of alternatives that the student has no token for, the
    /// largest first, 0 for filling; null for none at all.
    /// </summary>
    public Tensor? Unmatched { get; }

    /// <summary>The rows of a batch from <paramref name="first"/> on.</summary>
    public static TargetRows Of(PackedBatch batch, int first, int rows, Device device) => new(batch, first, rows, device);

    /// <summary>The same where every token has the distribution of a model over all words, or what a policy takes of it.</summary>
    /// <param name="logits">[R, Vₜ] of float32; of a padded vocabulary the first V count.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="policy">What is taken.</param>
    /// <param name="keys">[R] where each token's stream of random numbers starts.</param>
    public TargetRows With(Tensor logits, long vocabulary, TargetPolicy policy, ReadOnlySpan<ulong> keys)
    {
        using var noGrad = no_grad();
        var all = ones_like(HasSoft);
        var soft = this with { HasSoft = all, SoftTokens = Rows, IsStated = all, StatedTokens = Rows };
        return soft.WithAll(logits, vocabulary, policy, keys);
    }

    /// <summary>The same with one distribution of what several teachers say, or what a policy takes of it.</summary>
    /// <param name="rows">What they say.</param>
    /// <param name="mixture">The distribution.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="policy">What is taken.</param>
    /// <param name="keys">[R] where each token's stream of random numbers starts.</param>
    public TargetRows With(PanelRows rows, TeacherMixture mixture, long vocabulary, TargetPolicy policy, ReadOnlySpan<ulong> keys)
    {
        using var noGrad = no_grad();
        var soft = this with
        {
            HasSoft = rows.HasSoft,
            SoftTokens = rows.SoftTokens,
            IsStated = rows.HasSoft,
            StatedTokens = rows.SoftTokens,
        };
        if (rows.Ids is not { } ids)
        {
            return soft.WithAll(mixture.LogProbabilities, vocabulary, policy, keys);
        }

        var named = soft with { Ids = ids, IsPresent = rows.IsPresent!, LogProbabilities = mixture.LogProbabilities };
        return named.As(vocabulary, policy, keys);
    }

    TargetRows WithAll(Tensor logits, long vocabulary, TargetPolicy policy, ReadOnlySpan<ulong> keys)
    {
        var missing = vocabulary - logits.shape[1];
        var all = missing <= 0 ? logits.narrow(1, 0, vocabulary) : logits;
        if (policy.TopK is { } k && k < all.shape[1])
        {
            return Top(all, k).As(vocabulary, policy, keys);
        }

        var nothing = missing <= 0 ? null : Arithmetic.NegativeInfinities([Rows, missing], ScalarType.Float32, logits.device);
        var whole = this with { Dense = nothing is null ? all : cat([all, nothing], 1), KnownWords = all.shape[1] };
        if (policy.Sampling != SoftTargetSampling.RandomSampling)
        {
            return whole;
        }

        var (ids, counts) = DrawnTargets.Draw(all, keys, policy.Draws);
        return Counted(ids, counts, policy.Draws, whole);
    }

    /// <summary>The same as a policy has it where a teacher reports some tokens.</summary>
    /// <param name="vocabulary">V.</param>
    /// <param name="policy">What is made of them.</param>
    /// <param name="keys">[R] where each token's stream of random numbers starts.</param>
    public TargetRows As(long vocabulary, TargetPolicy policy, ReadOnlySpan<ulong> keys)
    {
        using var noGrad = no_grad();
        if (policy.Sampling == SoftTargetSampling.SampledTopK)
        {
            var (places, counts) = DrawnTargets.Draw(Reported, keys, policy.Draws);
            return Counted(Ids.gather(1, places), counts, policy.Draws, this);
        }

        return policy.MissingMass switch
        {
            MissingMass.Renormalize => this with { Origin = this, AreConditional = true },
            MissingMass.UniformTail => Spread(vocabulary),
            MissingMass.ResidualToLabel => WithTailOnDrawn(),
            MissingMass.Truncate => WithoutTail(),
            _ => this,
        };
    }

    /// <summary>The same with a distribution over all words, in which the missing mass is spread evenly.</summary>
    TargetRows Spread(long vocabulary)
    {
        var others = IsPresent.to(ScalarType.Float64).sum(1, keepdim: true).Times(-1).Plus(vocabulary).AtLeast(1);
        var each = (LogProbabilities.narrow(1, Ids.shape[1], 1) - others.log()).to(ScalarType.Float32); // [R, 1]
        var all = each.expand(Rows, vocabulary).clone();
        // A filling's id is the first one's of the row, and so is what is written there: the order of writing is of no matter.
        var reported = Reported.to(ScalarType.Float32);
        return this with
        {
            Origin = this,
            Dense = all.scatter_(1, Ids, reported.where(IsPresent, reported.narrow(1, 0, 1))),
            KnownWords = vocabulary,
        };
    }

    /// <summary>The same with the k most probable tokens of a whole distribution, and all others together.</summary>
    TargetRows Top(Tensor logits, int k)
    {
        var (values, ids) = logits.topk(k, 1);
        var others = logits
            .scatter(1, ids, Arithmetic.NegativeInfinities(values.shape, values.dtype, values.device))
            .to(ScalarType.Float64)
            .logsumexp(1, keepdim: true);
        return this with
        {
            Ids = ids,
            IsPresent = ones_like(ids, dtype: ScalarType.Bool),
            LogProbabilities = cat([values.to(ScalarType.Float64), others], 1).log_softmax(1),
        };
    }

    TargetRows WithTailOnDrawn()
    {
        var isNew = Ids.eq(Drawn).any(1, keepdim: true).logical_not(); // [R, 1]
        var ids = cat([Ids, Drawn.where(isNew, Ids.narrow(1, 0, 1))], 1); // [R, K + 1]
        var isPresent = cat([IsPresent, isNew], 1);
        var tail = LogProbabilities.narrow(1, Ids.shape[1], 1);
        var never = Arithmetic.NegativeInfinities(tail.shape, tail.dtype, tail.device);
        var logprobs = cat([Reported, never], 1);
        var isDrawn = ids.eq(Drawn).logical_and(isPresent);
        return this with
        {
            Origin = this,
            Ids = ids,
            IsPresent = isPresent,
            LogProbabilities = cat([logprobs.logaddexp(tail).where(isDrawn, logprobs), never], 1),
        };
    }

    /// <summary>The same with nothing for all others.</summary>
    TargetRows WithoutTail() => this with { Origin = this, LogProbabilities = cat([Reported, Nothing(Ids.device)], 1) };

    /// <summary>The same with drawn tokens: p̂ = count / draws, and nothing for all others.</summary>
    static TargetRows Counted(Tensor ids, Tensor counts, int draws, TargetRows stated) =>
        stated with
        {
            Origin = stated,
            Dense = null,
            AreDrawn = true,
            Ids = ids,
            IsPresent = counts.IsZero().logical_not(),
            LogProbabilities = cat([counts.Times(1.0 / draws).log(), stated.Nothing(ids.device)], 1),
        };

    Tensor Nothing(Device device) => Arithmetic.NegativeInfinities([Rows, 1], ScalarType.Float64, device);

    /// <summary>[R] of bool: whether the drawn token is among those that are reported.</summary>
    internal Tensor ReportsDrawn => Ids.eq(Drawn).logical_and(IsPresent).any(1);

    /// <returns>[R] −Σ p log p in nats.</returns>
    internal Tensor Entropy()
    {
        var logs = (Dense ?? LogProbabilities).log_softmax(1);
        return (logs.exp() * logs.ZeroWhere(logs.isneginf())).sum(1).neg();
    }

    /// <summary>[R, V] of bool: true for reported tokens.</summary>
    /// <param name="vocabulary">V.</param>
    internal Tensor Reports(long vocabulary)
    {
        using var noGrad = no_grad();
        return zeros(Rows, vocabulary, dtype: ScalarType.Bool, device: Ids.device).scatter_(1, Ids, ones_like(Ids, dtype: ScalarType.Bool));
    }

    static Tensor? ReadUnmatched(PackedBatch batch, int first, int rows, Device device)
    {
        var most = Enumerable.Range(first, rows).Max(m => batch.UnmatchedStarts[m + 1] - batch.UnmatchedStarts[m]);
        if (most == 0)
        {
            return null;
        }

        var values = new double[rows * most];
        for (var row = 0; row < rows; row++)
        {
            var start = batch.UnmatchedStarts[first + row];
            for (var i = start; i < batch.UnmatchedStarts[first + row + 1]; i++)
            {
                values[row * most + i - start] = batch.Unmatched[i];
            }
        }

        return tensor(values, device: device).Aligned().reshape(rows, most);
    }

    /// <summary>A contiguous CPU tensor's memory.</summary>
    static Span<T> Elements<T>(Tensor tensor)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(tensor.bytes);
}
