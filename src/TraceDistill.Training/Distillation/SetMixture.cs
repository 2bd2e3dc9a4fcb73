using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Distillation;

/// <summary>How several data sets are gone through beside each other.</summary>
static class SetMixture
{
    /// <summary>Sets without weights are one; worked solutions come as often as all else does on the average.</summary>
    public static SequenceSet[] Blend(
        IReadOnlyList<TraceSet> sets,
        List<IReadOnlyList<SequenceGroup>> traces,
        IReadOnlyList<SequenceGroup> solutions,
        List<string> remarks
    )
    {
        if (sets.All(set => set.Weight is null))
        {
            return [new SequenceSet([.. traces.SelectMany(groups => groups), .. solutions])];
        }

        SequenceSet[] blend = [.. sets.Zip(traces, (set, groups) => new SequenceSet(groups, set.Weight!.Value))];
        var weight = blend.Sum(set => set.Weight);
        if (solutions.Count > 0)
        {
            var tokens = new SequenceSet(solutions).Tokens;
            blend = [.. blend, new SequenceSet(solutions, weight * tokens / blend.Sum(set => set.Tokens))];
            weight = blend.Sum(set => set.Weight);
        }

        foreach (var (index, set) in blend.Index())
        {
            var (name, share) = (index < sets.Count ? sets[index].Path : "worked solutions", set.Weight / weight);
            var epochs = share * blend.Sum(other => other.Tokens) / set.Tokens;
            remarks.Add(FormattableString.Invariant($"{name}: {share:P1} of the tokens, gone through {epochs:0.##} times an epoch"));
        }

        return blend;
    }

    /// <summary>Gives rehearsed sets their fraction of the tokens beside all else.</summary>
    public static SequenceSet[] WithRehearsal(
        SequenceSet[] sets,
        IReadOnlyList<SequenceGroup> groups,
        Rehearsal? rehearsal,
        List<string> remarks
    )
    {
        if (rehearsal is null)
        {
            return sets;
        }

        remarks.Add(
            FormattableString.Invariant($"rehearsal: {groups.Sum(group => group.Lengths.Count(length => length > 0)):N0} sequences, ")
                + FormattableString.Invariant($"{rehearsal.Share:P1} of the tokens of each step")
        );
        return [.. sets, new SequenceSet(groups, sets.Sum(set => set.Weight) * rehearsal.Share / (1 - rehearsal.Share), IsRehearsed: true)];
    }
}
