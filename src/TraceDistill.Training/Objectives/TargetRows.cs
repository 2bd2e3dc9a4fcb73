using TraceDistill.Core.Packing;
using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk, K = most soft targets that one of them has (at least 1), U = most unmatched alternatives, V = vocabulary

/// <summary>What a chunk of tokens is to be: the drawn tokens, and the teacher's distributions. Rows of fewer than K entries are filled up.</summary>
public sealed class TargetRows
{
    TargetRows(PackedBatch batch, int first, int rows, Device device)
    {
        Rows = rows;
        var k = Math.Max(1, Enumerable.Range(first, rows).Max(m => batch.SoftStarts[m + 1] - batch.SoftStarts[m]));
        var (ids, logprobs, isPresent) = (new long[rows * k], new double[rows * k], new bool[rows * k]);
        var (targets, tails, hasSoft) = (new long[rows], new double[rows], new bool[rows]);
        for (var row = 0; row < rows; row++)
        {
            var (m, start) = (first + row, batch.SoftStarts[first + row]);
            var count = batch.SoftStarts[m + 1] - start;
            targets[row] = batch.Targets[m];
            hasSoft[row] = count > 0;
            // A token without soft targets gets a distribution that means nothing and is finite: all on the drawn token.
            tails[row] = count > 0 ? batch.Tails[m] : double.NegativeInfinity;
            for (var i = 0; i < k; i++)
            {
                var isThere = i < count;
                ids[row * k + i] = isThere ? batch.SoftIds[start + i] : targets[row];
                logprobs[row * k + i] = isThere ? batch.SoftLogprobs[start + i] : count == 0 && i == 0 ? 0 : double.NegativeInfinity;
                isPresent[row * k + i] = isThere || (count == 0 && i == 0);
            }
        }

        SoftTokens = hasSoft.Count(has => has);
        Targets = tensor(targets, device: device);
        Ids = tensor(ids, device: device).reshape(rows, k);
        Logprobs = tensor(logprobs, device: device).reshape(rows, k);
        IsPresent = tensor(isPresent, device: device).reshape(rows, k);
        Tail = tensor(tails, device: device);
        HasSoft = tensor(hasSoft, device: device);
        IsFull = Array.TrueForAll(isPresent, present => present);
        Unmatched = ReadUnmatched(batch, first, rows, device);
    }

    /// <summary>R.</summary>
    public int Rows { get; }

    /// <summary>Tokens among them that have soft targets.</summary>
    public int SoftTokens { get; }

    /// <summary>[R] of int64: the tokens that were drawn.</summary>
    public Tensor Targets { get; }

    /// <summary>[R, K] of int64: the tokens that the teacher reported; filled up with the drawn token.</summary>
    public Tensor Ids { get; }

    /// <summary>[R, K] of float64: their log-probabilities at T = 1; −∞ for filling.</summary>
    public Tensor Logprobs { get; }

    /// <summary>[R, K] false for filling.</summary>
    public Tensor IsPresent { get; }

    /// <summary>Whether nothing is filled up.</summary>
    public bool IsFull { get; }

    /// <summary>[R] of float64: log-probability of all other tokens; −∞ for none.</summary>
    public Tensor Tail { get; }

    /// <summary>[R] whether the teacher reported anything.</summary>
    public Tensor HasSoft { get; }

    /// <summary>[R, U] of float64: probabilities of alternatives that the student has no token for, the largest first, 0 for filling; null for none at all.</summary>
    public Tensor? Unmatched { get; }

    /// <summary>The rows of a batch from <paramref name="first"/> on.</summary>
    public static TargetRows Of(PackedBatch batch, int first, int rows, Device device) => new(batch, first, rows, device);

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
}
