using TraceDistill.Data.Generation;

namespace TraceDistill.Training.Alignment;

/// <summary>One student token's soft targets while they are gathered.</summary>
sealed class MappedRow
{
    readonly List<(int Id, double Probability)> _entries = [];

    /// <summary>Probability that the teacher reported.</summary>
    public double Reported { get; set; }

    /// <summary>Probabilities of alternatives that have no spelling, in the teacher's order.</summary>
    public List<float> Unmatched { get; } = [];

    public void Clear()
    {
        _entries.Clear();
        Unmatched.Clear();
        Reported = 0;
    }

    /// <summary>Gives a token more probability.</summary>
    public void Add(int id, double probability)
    {
        var at = _entries.FindIndex(entry => entry.Id == id);
        if (at < 0)
        {
            _entries.Add((id, probability));
        }
        else
        {
            _entries[at] = (id, _entries[at].Probability + probability);
        }
    }

    /// <summary>Makes probabilities conditional on what was reported.</summary>
    public void Condition()
    {
        var given = Reported;
        if (given == 0)
        {
            // All that could follow was reported as impossible: nothing is known.
            _entries.Clear();
            return;
        }

        for (var at = 0; at < _entries.Count; at++)
        {
            _entries[at] = (_entries[at].Id, _entries[at].Probability / given);
        }

        Reported = 1;
    }

    /// <summary>Writes row <paramref name="j"/>, the most probable first.</summary>
    /// <returns>Soft-target coverage of the row after alignment.</returns>
    public AlignmentSurvival Store(SoftTargets targets, int j)
    {
        // Stable: of equals, the teacher's first stays first.
        var mapped = 0.0;
        // A drawn token outside the alternatives may be one more than there is room for: the least joins the tail.
        foreach (var (rank, (id, probability)) in _entries.OrderByDescending(entry => entry.Probability).Take(targets.K).Index())
        {
            targets.Ids[(j * targets.K) + rank] = id;
            targets.Logprobs[(j * targets.K) + rank] = (float)Math.Log(probability);
            mapped += probability;
        }

        targets.Tail[j] = TailMass.Logprob(targets.Logprobs.AsSpan(j * targets.K, targets.K));
        Unmatched.CopyTo(targets.Unmatched, j * targets.K);
        return _entries.Count > 0 ? new AlignmentSurvival(0, 1, Reported, Math.Min(mapped, Reported)) : default;
    }
}
