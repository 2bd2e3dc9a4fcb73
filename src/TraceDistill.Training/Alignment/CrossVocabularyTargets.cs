using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;

namespace TraceDistill.Training.Alignment;

// i = a token of the teacher, j = one of the student; both tokenize the same bytes

/// <summary>
/// Soft targets of a teacher with another vocabulary, in the student's tokens; made anew for each batch, as compact as they are stored.
/// </summary>
/// <remarks>
/// <para>
/// Where i and j begin at the same byte, each alternative of i gives its probability to the
/// first token of its spelling (<see cref="VocabularyMap"/>).
/// </para>
/// <para>
/// Where the student writes one token of the teacher in several, the chain rule over the alternatives gives
/// those after the first: P(v | v₁…v_d) = Σ p(u : spelled v₁…v_d v …) / Σ p(u : spelled v₁…v_d …). The token
/// that was drawn counts there with the probability that it was reported with, among the alternatives or not.
/// </para>
/// <para>
/// Where one token of the student, or the first of several, covers several of the teacher, the alternative that was drawn
/// gives the product of all their probabilities to the token the student writes; what else may follow it joins the tail.
/// </para>
/// Alternatives without a spelling join the tail, and are kept as <see cref="SoftTargets.Unmatched"/>.
/// </remarks>
sealed class CrossVocabularyTargets : ISoftTargetSource
{
    readonly VocabularyMap _map;
    readonly TokenLogprobs _logprobs;
    readonly int[] _tokens;
    readonly TeacherRow[] _rows;
    readonly bool[] _prefixed;
    readonly TemperatureCorrection? _correction;
    readonly int _kept;

    /// <param name="map">Spells the teacher's tokens.</param>
    /// <param name="logprobs">The teacher's logprobs.</param>
    /// <param name="tokens">[trained] the student's tokens.</param>
    /// <param name="rows">[trained] what tells of them; the row after the last is a certainty.</param>
    /// <param name="prefixed">[trained] whether the student put a space before the text that begins with the token.</param>
    /// <param name="k">Alternatives to use of each of the teacher's tokens; null uses all.</param>
    /// <param name="correction">Undoes the temperature that the logprobs are of; null where they are the model's own.</param>
    public CrossVocabularyTargets(
        VocabularyMap map,
        TokenLogprobs logprobs,
        int[] tokens,
        TeacherRow[] rows,
        bool[] prefixed,
        int? k,
        TemperatureCorrection? correction
    )
    {
        (_map, _tokens, _rows, _prefixed, _correction) = (map, tokens, rows, prefixed, correction);
        _logprobs = logprobs.Encoded is null ? logprobs : logprobs with { TopIds = [], TopLogprobs = [] };
        _kept = Math.Min(k ?? logprobs.K, logprobs.K);
    }

    /// <summary>The teacher's token whose space at its beginning is no part of the text; −1 for none.</summary>
    public int Unmarked { get; init; } = -1;

    public long Bytes =>
        (_logprobs.Encoded?.Length ?? 0)
        + (2L * sizeof(int) * (_logprobs.Count + _logprobs.TopIds.Length))
        + (5L * sizeof(int) * _rows.Length);

    public SoftTargets Read() => Read(out _);

    /// <param name="survival">Soft-target coverage after alignment.</param>
    public SoftTargets Read(out AlignmentSurvival survival)
    {
        var top = _logprobs.Encoded is { } encoded
            ? SoftTargetCodec.Decode(encoded, _logprobs.Count, _logprobs.K) with
            {
                TokenIds = _logprobs.TokenIds,
                Logprobs = _logprobs.Logprobs,
            }
            : _logprobs;
        top = _correction?.Apply(top) ?? top;
        var size = _rows.Length * _kept;
        var targets = new SoftTargets
        {
            K = _kept,
            Ids = new int[size],
            Logprobs = new float[size],
            Tail = new float[_rows.Length],
            Unmatched = new float[size],
        };
        Array.Fill(targets.Ids, -1);
        Array.Fill(targets.Logprobs, float.NegativeInfinity);
        survival = new AlignmentSurvival(_rows.Length, 0, 0, 0);
        var row = new MappedRow();
        for (var j = 0; j < _rows.Length && _kept > 0; j++)
        {
            row.Clear();
            if (_rows[j].Row == _logprobs.Count)
            {
                row.Add(_tokens[j], 1);
                row.Reported = 1;
            }
            else if (_rows[j].Row >= 0)
            {
                Fill(row, top, j);
            }

            survival += row.Store(targets, j);
        }

        return targets;
    }

    public void AppendTo(IncrementalHash hash)
    {
        hash.AppendData(Encoding.UTF8.GetBytes(_map.Teacher.Hash));
        hash.AppendData(MemoryMarshal.AsBytes<TeacherRow>(_rows));
        hash.AppendData(MemoryMarshal.AsBytes<int>(_logprobs.TokenIds));
        hash.AppendData(MemoryMarshal.AsBytes<float>(_logprobs.Logprobs));
        hash.AppendData(_logprobs.Encoded ?? []);
        hash.AppendData(MemoryMarshal.AsBytes<int>(_logprobs.TopIds));
        hash.AppendData(MemoryMarshal.AsBytes<float>(_logprobs.TopLogprobs));
        hash.AppendData(MemoryMarshal.AsBytes<bool>(_prefixed));
        hash.AppendData(MemoryMarshal.AsBytes<int>([_logprobs.K, _kept, Unmarked]));
        _correction?.AppendTo(hash);
    }

    void Fill(MappedRow row, TokenLogprobs top, int j)
    {
        var (i, depth, merged) = _rows[j];
        var written = _tokens.AsSpan(j - depth, depth);
        var (isPrefixed, sawDrawn) = (_prefixed[j - depth], false);
        for (var at = i * top.K; at < (i * top.K) + _kept && top.TopIds[at] >= 0; at++)
        {
            var probability = Math.Exp(top.TopLogprobs[at]);
            var isDrawn = top.TopIds[at] == top.TokenIds[i];
            sawDrawn |= isDrawn;
            if (isDrawn && merged > 1)
            {
                row.Reported += probability;
                row.Add(_tokens[j], Math.Exp(Chain(top, i, merged)));
                continue;
            }

            var spelling =
                isDrawn ? Drawn(j)
                : i == Unmarked ? _map.OfUnmarked(top.TopIds[at], isPrefixed)
                : isPrefixed ? _map.OfPrefixed(top.TopIds[at])
                : _map.Of(top.TopIds[at]);
            if (!spelling.StartsWith(written))
            {
                continue;
            }

            row.Reported += probability;
            if (spelling.Length > depth)
            {
                row.Add(spelling[depth], probability);
            }
            else if (depth == 0)
            {
                row.Unmatched.Add((float)probability);
            }
        }

        if (depth > 0)
        {
            if (!sawDrawn)
            {
                var probability = Math.Exp(top.Logprobs[i]);
                row.Reported += probability;
                row.Add(_tokens[j], probability);
            }

            row.Condition();
        }
    }

    /// <summary>Log-probability of the teacher's tokens i to i + merged − 1.</summary>
    static double Chain(TokenLogprobs top, int i, int merged)
    {
        var sum = 0.0;
        for (var next = i; next < i + merged; next++)
        {
            sum += top.Logprobs[next];
        }

        return sum;
    }

    /// <summary>
    /// The student's tokens of the teacher's token that tells of j: as the text has them, which may be otherwise than when it stands alone.
    /// </summary>
    ReadOnlySpan<int> Drawn(int j)
    {
        var (first, end) = (j - _rows[j].Depth, j + 1);
        while (end < _rows.Length && _rows[end].Row == _rows[j].Row)
        {
            end++;
        }

        return _tokens.AsSpan(first..end);
    }
}
