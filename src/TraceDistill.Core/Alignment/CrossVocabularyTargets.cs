using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Storage;

namespace TraceDistill.Core.Alignment;

// i = a token of the teacher, j = one of the student; both tokenize the same bytes

/// <summary>Soft targets of a teacher with another vocabulary, in the student's tokens; made anew for each batch, as compact as they are stored.</summary>
/// <remarks>
/// <para>Where i and j begin at the same byte, each alternative of i gives its probability to the first token of its spelling (<see cref="VocabularyMap"/>).</para>
/// <para>
/// Where the student writes one token of the teacher in several, the chain rule over the alternatives gives those after the first:
/// P(v | v₁…v_d) = Σ p(u : spelled v₁…v_d v …) / Σ p(u : spelled v₁…v_d …).
/// </para>
/// <para>
/// Where one token of the student, or the first of several, covers several of the teacher, the alternative that was drawn gives the product of all their probabilities
/// to the token the student writes; what else may follow it joins the tail.
/// </para>
/// Alternatives without a spelling join the tail, and are kept as <see cref="SoftTargets.Unmatched"/>.
/// </remarks>
sealed class CrossVocabularyTargets : ISoftTargetSource
{
    readonly VocabularyMap _map;
    readonly TokenLogprobs _logprobs;
    readonly int[] _tokens;
    readonly TeacherRow[] _rows;
    readonly int _kept;

    /// <param name="map">Spells the teacher's tokens.</param>
    /// <param name="logprobs">What the teacher reported.</param>
    /// <param name="tokens">[trained] the student's tokens.</param>
    /// <param name="rows">[trained] what tells of them; the row after the last is a certainty.</param>
    /// <param name="k">Alternatives to use of each of the teacher's tokens; null uses all.</param>
    public CrossVocabularyTargets(VocabularyMap map, TokenLogprobs logprobs, int[] tokens, TeacherRow[] rows, int? k)
    {
        (_map, _tokens, _rows) = (map, tokens, rows);
        _logprobs = logprobs.Encoded is null ? logprobs : logprobs with { TopIds = [], TopLogprobs = [] };
        _kept = Math.Min(k ?? logprobs.K, logprobs.K);
    }

    public SoftTargets Read() => Read(out _);

    /// <param name="survival">How much of what the teacher reported is in the result.</param>
    public SoftTargets Read(out AlignmentSurvival survival)
    {
        var top = _logprobs.Encoded is { } encoded ? SoftTargetCodec.Decode(encoded, _logprobs.Count, _logprobs.K) : _logprobs;
        var size = _rows.Length * _kept;
        var targets = new SoftTargets { K = _kept, Ids = new int[size], Logprobs = new float[size], Tail = new float[_rows.Length], Unmatched = new float[size] };
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
        hash.AppendData(MemoryMarshal.AsBytes<int>([_logprobs.K, _kept]));
    }

    void Fill(MappedRow row, TokenLogprobs top, int j)
    {
        var (i, depth, merged) = _rows[j];
        var written = _tokens.AsSpan(j - depth, depth);
        for (var at = i * top.K; at < (i * top.K) + _kept && top.TopIds[at] >= 0; at++)
        {
            var probability = Math.Exp(top.TopLogprobs[at]);
            var isDrawn = top.TopIds[at] == _logprobs.TokenIds[i];
            if (isDrawn && merged > 1)
            {
                row.Reported += probability;
                row.Add(_tokens[j], Math.Exp(Chain(i, merged)));
                continue;
            }

            var spelling = isDrawn ? Drawn(j) : _map.Of(top.TopIds[at]);
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
            row.Condition();
        }
    }

    /// <summary>Log-probability of the teacher's tokens i to i + merged − 1.</summary>
    double Chain(int i, int merged)
    {
        var sum = 0.0;
        for (var next = i; next < i + merged; next++)
        {
            sum += _logprobs.Logprobs[next];
        }

        return sum;
    }

    /// <summary>The student's tokens of the teacher's token that tells of j: as the text has them, which may be otherwise than when it stands alone.</summary>
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
