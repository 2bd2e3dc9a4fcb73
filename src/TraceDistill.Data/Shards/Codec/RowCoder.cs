namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// The model behind the compact soft targets: what of a row is expected from the rows before it, and how the rest is spelled. One code path
/// serves both directions; see <see cref="SoftTargetFormat"/> for it in words.
/// </summary>
struct RowCoder<T>(T coder, int k)
    where T : struct, INibbleCoder
{
    const int Full = 0;
    const int ShortCount = 1; // and 2
    const int Rank = 3; // and 4: after a token of rank 0, after another one
    const int LongRank = 5; // and 6
    const int TailSign = 7;
    const int Tail = 8; // and 9
    const int OutsideSign = 10;
    const int Outside = 11; // and 12
    const int Step = 13; // 3 classes of rank × 8 contexts of the grid, 2 models each
    const int FirstCandidate = Step + 3 * LogprobGrid.Contexts * 2;
    const int Models = FirstCandidate + CandidateCoder<T>.Models;

    const int EscapedRank = 14;
    const int OutsideRank = 15;

    public T Coder = coder;
    readonly AdaptiveNibbles _models = new(Models);
    readonly CandidateCoder<T> _candidates = new(k, FirstCandidate);
    bool _lastWasBest = true;

    /// <summary>Encodes the row, or decodes into it.</summary>
    public void Code(QuantizedRow row)
    {
        CodeCount(row);
        CodeSteps(row);
        _candidates.Code(ref Coder, _models, row.Ids.AsSpan(0, row.Count));
        CodeSampled(row);
        _candidates.Append(row.Ids.AsSpan(0, row.Count), row.SampledId);
    }

    void CodeCount(QuantizedRow row)
    {
        var missing = k - row.Count;
        var full = Coder.Nibble(_models, Full, missing == 0 ? 0 : 1) == 0;
        row.Count = full ? k : k - NumberCoding.Number(ref Coder, _models, ShortCount, missing);
        if (row.Count < 0)
        {
            throw new InvalidDataException("the soft targets have a row of negative length");
        }
    }

    void CodeSteps(QuantizedRow row)
    {
        if (row.Count == 0)
        {
            row.TailSteps = 0;
            return;
        }

        var last = row.Steps[0] = 0;
        for (var i = 1; i < row.Count; i++)
        {
            var context =
                (
                    i == 1 ? 0
                    : i < 5 ? 1
                    : 2
                ) * LogprobGrid.Contexts
                + LogprobGrid.Context(last);
            var rise = NumberCoding.Number(ref Coder, _models, Step + 2 * context, row.Steps[i] - last);
            last = row.Steps[i] = CheckedSteps(last + rise);
        }

        row.TailSteps = CodeRelative(TailSign, Tail, last, row.TailSteps);
    }

    void CodeSampled(QuantizedRow row)
    {
        var rank = row.SampledRank;
        var symbol = rank == row.Count ? OutsideRank : Math.Min(rank, EscapedRank);
        symbol = Coder.Nibble(_models, _lastWasBest ? Rank : Rank + 1, symbol);
        _lastWasBest = symbol == 0;
        if (symbol == OutsideRank)
        {
            row.SampledRank = row.Count;
            row.SampledId = _candidates.CodeKnownOrNew(ref Coder, _models, row.SampledId);
            var last = row.Count == 0 ? 0 : row.Steps[row.Count - 1];
            row.SampledSteps = CodeRelative(OutsideSign, Outside, last, row.SampledSteps);
            if (row.SampledSteps == QuantizedRow.NoTail)
            {
                throw new InvalidDataException("the soft targets have no logprob for a token that was drawn");
            }

            return;
        }

        row.SampledRank =
            symbol < EscapedRank ? symbol : EscapedRank + NumberCoding.Number(ref Coder, _models, LongRank, rank - EscapedRank);
        if (row.SampledRank >= row.Count)
        {
            throw new InvalidDataException("the soft targets name a rank that the row does not have");
        }

        row.SampledId = row.Ids[row.SampledRank];
        row.SampledSteps = row.Steps[row.SampledRank];
    }

    // A number of steps as its distance to a reference: 0 not below it, 1 below it, 2 absent.
    int CodeRelative(int signModel, int model, int reference, int steps)
    {
        var sign = Coder.Nibble(
            _models,
            signModel,
            steps == QuantizedRow.NoTail ? 2
                : steps >= reference ? 0
                : 1
        );
        if (sign >= 2)
        {
            return QuantizedRow.NoTail;
        }

        var distance = NumberCoding.Number(ref Coder, _models, model, sign == 0 ? steps - reference : reference - steps);
        return CheckedSteps(sign == 0 ? reference + distance : reference - distance);
    }

    static int CheckedSteps(int steps) =>
        Math.Abs(steps) <= LogprobGrid.Largest
            ? steps
            : throw new InvalidDataException("the soft targets hold a logprob that is out of range");
}
