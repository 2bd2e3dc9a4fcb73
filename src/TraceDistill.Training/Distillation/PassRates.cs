using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Traces;

namespace TraceDistill.Training.Distillation;

/// <summary>How many of each problem's traces are verified as correct; known once all traces were seen.</summary>
sealed class PassRates
{
    readonly Dictionary<ulong, (int Correct, int All)> _problems = [];

    /// <summary>Difficulties that are to be filled in, and the problem of each.</summary>
    readonly List<(float[] Difficulties, ulong[] Problems)> _waiting = [];

    /// <summary>True where any trace was verified.</summary>
    public bool HasVerdicts { get; private set; }

    /// <summary>Counts a trace, learned from or not.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="set">Its data set: another one may call another problem by the same id.</param>
    public void Count(Trace trace, int set)
    {
        var isCorrect = trace.Verdict == Verdict.Correct.ToName();
        HasVerdicts |= isCorrect || trace.Verdict == Verdict.Incorrect.ToName();
        var key = KeyOf(trace, set);
        var (correct, all) = _problems.GetValueOrDefault(key);
        _problems[key] = (correct + (isCorrect ? 1 : 0), all + 1);
    }

    /// <returns>[traces] difficulties, zero until <see cref="Complete"/>.</returns>
    public float[] Of(IReadOnlyList<Trace> traces, int set)
    {
        var difficulties = new float[traces.Count];
        _waiting.Add((difficulties, [.. traces.Select(trace => KeyOf(trace, set))]));
        return difficulties;
    }

    /// <summary>Fills in the share of each problem's traces that are not correct.</summary>
    public void Complete()
    {
        foreach (var (difficulties, problems) in _waiting)
        {
            for (var row = 0; row < difficulties.Length; row++)
            {
                var (correct, all) = _problems.GetValueOrDefault(problems[row], (0, 1));
                difficulties[row] = 1 - (float)correct / all;
            }
        }
    }

    /// <summary>Eight bytes of a problem's id, however long it is.</summary>
    static ulong KeyOf(Trace trace, int set) =>
        BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{set} {trace.ProblemId}")));
}
