namespace TraceDistill.Data.Contracts;

/// <summary>Result of checking an answer.</summary>
public enum Verdict
{
    Correct,
    Incorrect,

    /// <summary>There was nothing to check or to check against, or both are expressions that need algebra to compare.</summary>
    Unverified,
}

/// <summary>The spelling of verdicts in shards.</summary>
public static class Verdicts
{
    /// <returns><c>correct</c>, <c>incorrect</c> or <c>unverified</c>.</returns>
    public static string ToName(this Verdict verdict) =>
        verdict switch
        {
            Verdict.Correct => "correct",
            Verdict.Incorrect => "incorrect",
            _ => "unverified",
        };
}
