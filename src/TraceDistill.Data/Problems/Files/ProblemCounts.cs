namespace TraceDistill.Data.Problems.Files;

/// <summary>Counts what was read of a problem file, for whoever tells the user.</summary>
public sealed class ProblemCounts
{
    /// <summary>Problems read.</summary>
    public int Problems { get; internal set; }

    /// <summary>Those without an answer.</summary>
    public int Unanswered { get; internal set; }

    /// <summary>Duplicates passed over.</summary>
    public int Skipped { get; internal set; }

    /// <summary>Sentences for the user about what is unusual; none where nothing is.</summary>
    /// <param name="path">The file.</param>
    public IEnumerable<string> Describe(string path)
    {
        if (Skipped > 0)
        {
            yield return $"{path}: {Skipped:N0} duplicates are passed over";
        }

        if (Unanswered > 0)
        {
            var (some, whose) = Unanswered == Problems ? ("none", "their traces") : ($"{Problems - Unanswered:N0}", "traces of the others");
            yield return $"{path}: {some} of {Problems:N0} problems have an answer; {whose} stay unverified. "
                + "If a field holds it, name that with answer_field";
        }
    }
}
