namespace TraceDistill.Teachers.Resilience;

/// <summary>Limits of what is asked of a teacher at once, and patience with it.</summary>
public sealed record ResilienceOptions
{
    /// <summary>The longest timeout that can be set, too.</summary>
    const double MostSeconds = 1e6;

    /// <summary>Most requests in flight at once at each endpoint; more wait their turn, and a busy endpoint is given fewer.</summary>
    /// <value>32</value>
    public int Concurrency { get; init; } = 32;

    /// <summary>Further attempts after one that failed for a passing reason.</summary>
    /// <value>8, which with the delays below outlasts about three minutes.</value>
    public int MaxRetries { get; init; } = 8;

    /// <summary>Further attempts while the teacher is alive but has too much to do (429).</summary>
    /// <value>100: a busy teacher is waited for, which leaves the other attempts as they are.</value>
    public int MaxOverloadRetries { get; init; } = 100;

    /// <summary>Delay before the first further attempt, before jitter; it doubles from there.</summary>
    /// <value>One second.</value>
    public TimeSpan FirstDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest delay, before jitter, unless the server asks for a longer one.</summary>
    /// <value>One minute.</value>
    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Longest time of one attempt.</summary>
    /// <value>Null: a minute, and a fifth of a second for each token that may be generated.</value>
    public TimeSpan? AttemptTimeout { get; init; }

    /// <summary>
    /// Time for which nothing is sent to an endpoint once half of the recent attempts (ten at least, within a minute) have failed.
    /// </summary>
    /// <value>15 seconds.</value>
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>After how long a second copy of a request is sent, elsewhere where that can be; the quicker answer counts.</summary>
    /// <value>Null: never.</value>
    public TimeSpan? HedgeAfter { get; init; }

    /// <remarks>Timers take no more than seven weeks.</remarks>
    internal TimeSpan TimeoutFor(int maxTokens) => AttemptTimeout ?? TimeSpan.FromSeconds(Math.Min(60 + (0.2 * maxTokens), MostSeconds));
}
