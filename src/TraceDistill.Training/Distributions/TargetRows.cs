using System.Runtime.InteropServices;
using TraceDistill.Training.Batching;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, K = most soft targets that one of them has (at least 1), U = most unmatched alternatives, V = vocabulary

/// <summary>
/// Targets of a chunk of tokens: the drawn tokens, and the teacher's distributions. Rows of fewer than K entries are filled up.
/// </summary>
public sealed record TargetRows
{
    Tensor? _isAbsent;

    TargetRows(PackedBatch batch, int first, int rows, Device device, MissingMass missingMass)
    {
        (Rows, MissingMass) = (rows, missingMass);
        var toLabel = missingMass == MissingMass.ResidualToLabel;
        var k = Math.Max(1, Enumerable.Range(first, rows).Max(m => batch.SoftStarts[m + 1] - batch.SoftStarts[m]) + (toLabel ? 1 : 0));
        var (ids, isPresent) = (empty(rows, k, dtype: ScalarType.Int64), empty(rows, k, dtype: ScalarType.Bool));
        var (logprobs, drawn) = (empty(rows, k + 1, dtype: ScalarType.Float64), empty(rows, 1, dtype: ScalarType.Int64));
        var hasSoft = empty(rows, dtype: ScalarType.Float64);
        Span<long> allIds = Elements<long>(ids),
            allDrawn = Elements<long>(drawn);
        Span<double> allLogprobs = Elements<double>(logprobs),
            allSoft = Elements<double>(hasSoft);
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

            if (toLabel && count > 0)
            {
                AddTail(batch.Targets[m], count, rowIds, rowPresent, rowLogprobs);
            }

            (allDrawn[row], allSoft[row]) = (batch.Targets[m], count > 0 ? 1 : 0);
            SoftTokens += count > 0 ? 1 : 0;
        }

        (Ids, IsPresent, LogProbabilities) = (ids.to(device), isPresent.to(device), logprobs.to(device));
        (Drawn, HasSoft) = (drawn.to(device), hasSoft.to(device));
        Unmatched = ReadUnmatched(batch, first, rows, device);
    }

    /// <summary>R.</summary>
    public int Rows { get; }

    /// <summary>Tokens among them that have soft targets.</summary>
    public int SoftTokens { get; private init; }

    /// <summary>Treatment of the probability that the reported tokens leave out.</summary>
    public MissingMass MissingMass { get; }

    /// <summary>
    /// [R, V] of float32: the teacher's log-probabilities of the student's whole vocabulary at T = 1, up to a constant in each row, −∞ for
    /// tokens that it does not have; null where only some tokens are reported.
    /// </summary>
    public Tensor? Dense { get; private init; }

    /// <summary>[R, 1] of int64: the tokens that were drawn.</summary>
    public Tensor Drawn { get; }

    /// <summary>
    /// [R, K] of int64: the tokens that the teacher reported; filled up with one of them, or with the drawn token where it reported none.
    /// </summary>
    public Tensor Ids { get; }

    /// <summary>[R, K] false for filling.</summary>
    public Tensor IsPresent { get; }

    /// <summary>
    /// [R, K + 1] of float64: their log-probabilities at T = 1, −∞ for filling, and last of all other tokens together, −∞ for none.
    /// </summary>
    public Tensor LogProbabilities { get; }

    /// <summary>[R, K + 1] of bool: true for filling, false for all other tokens together.</summary>
    internal Tensor IsAbsent => _isAbsent ??= cat([~IsPresent, zeros(Rows, 1, dtype: ScalarType.Bool, device: Ids.device)], 1);

    /// <summary>[R, K] of float64: those of the reported tokens alone.</summary>
    public Tensor Reported => LogProbabilities.narrow(1, 0, Ids.shape[1]);

    /// <summary>[R] of float64: 1 where the teacher reported anything, else 0.</summary>
    public Tensor HasSoft { get; private init; }

    /// <summary>
    /// [R, U] of float64: probabilities of alternatives that the student has no token for, the
    /// largest first, 0 for filling; null for none at all.
    /// </summary>
    public Tensor? Unmatched { get; }

    /// <summary>The rows of a batch from <paramref name="first"/> on.</summary>
    public static TargetRows Of(PackedBatch batch, int first, int rows, Device device, MissingMass missingMass = MissingMass.TailBucket) =>
        new(batch, first, rows, device, missingMass);

    /// <summary>The same with a distribution over all words, in which the missing mass is spread evenly.</summary>
    /// <param name="vocabulary">V.</param>
    public TargetRows Spread(long vocabulary)
    {
        var reported = Reported;
        var others = vocabulary - IsPresent.to(ScalarType.Float64).sum(dim: 1, keepdim: true).clamp(max: vocabulary - 1);
        var each = (LogProbabilities.narrow(1, Ids.shape[1], 1) - others.log()).to(ScalarType.Float32); // [R, 1]
        var all = each.expand(Rows, vocabulary).clone();
        // A filling's id is another one's of the row, which is written last.
        return this with { Dense = all.scatter_(1, Ids.flip(1), reported.to(ScalarType.Float32).flip(1)) };
    }

    /// <summary>The same with the distribution of a model over all words, for every token.</summary>
    /// <param name="logits">[R, Vₜ] of float32; of a padded vocabulary the first V count.</param>
    /// <param name="vocabulary">V.</param>
    public TargetRows With(Tensor logits, long vocabulary)
    {
        var missing = vocabulary - logits.shape[1];
        return this with
        {
            Dense =
                missing <= 0
                    ? logits.narrow(1, 0, vocabulary)
                    : cat([logits, full([Rows, missing], float.NegativeInfinity, device: logits.device)], 1),
            HasSoft = ones_like(HasSoft),
            SoftTokens = Rows,
        };
    }

    /// <summary>[R, V] of bool: true for reported tokens.</summary>
    /// <param name="vocabulary">V.</param>
    internal Tensor Reports(long vocabulary)
    {
        using var noGrad = no_grad();
        return zeros(Rows, vocabulary, dtype: ScalarType.Bool, device: Ids.device).scatter_(1, Ids, ones_like(Ids, dtype: ScalarType.Bool));
    }

    /// <summary>Gives a row's missing mass to the drawn token.</summary>
    static void AddTail(int drawn, int count, Span<long> ids, Span<bool> isPresent, Span<double> logprobs)
    {
        var at = ids[..count].IndexOf(drawn);
        if (at < 0)
        {
            (at, ids[count], isPresent[count]) = (count, drawn, true);
        }

        ref var tail = ref logprobs[^1];
        logprobs[at] = LogSum(logprobs[at], tail);
        tail = double.NegativeInfinity;
    }

    static double LogSum(double a, double b)
    {
        var (larger, smaller) = (Math.Max(a, b), Math.Min(a, b));
        return double.IsNegativeInfinity(larger) ? larger : larger + Math.Log(1 + Math.Exp(smaller - larger));
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

        return tensor(values, device: device).reshape(rows, most);
    }

    /// <summary>A contiguous CPU tensor's memory.</summary>
    static Span<T> Elements<T>(Tensor tensor)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(tensor.bytes);
}
