namespace TraceDistill.Teachers.Resilience;

/// <summary>
/// When one endpoint may be sent the next request: its requests and tokens a minute, and what the server itself asked for.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
sealed class RateLimits(int? requestsPerMinute, int? tokensPerMinute)
{
    readonly TokenBucket? _requests = requestsPerMinute is { } requests ? new TokenBucket(requests) : null;
    readonly TokenBucket? _tokens = tokensPerMinute is { } tokens ? new TokenBucket(tokens) : null;
    TimeSpan _pausedUntil;
    double _meanCompletion = -1;

    /// <summary>Tokens that a request is taken to cost until its answer tells: its prompt, and the mean of the answers so far.</summary>
    public double Estimate(int promptTokens, int maxTokens) =>
        promptTokens + (_meanCompletion < 0 ? maxTokens : Math.Min(_meanCompletion, maxTokens));

    /// <summary>Time for which nothing of that size may be sent.</summary>
    public TimeSpan WaitFor(double tokens, TimeSpan now) =>
        new(
            Math.Max(
                Math.Max((_pausedUntil - now).Ticks, 0),
                Math.Max(_requests?.WaitFor(1, now).Ticks ?? 0, _tokens?.WaitFor(tokens, now).Ticks ?? 0)
            )
        );

    /// <summary>A request goes out.</summary>
    public void Send(double tokens, TimeSpan now)
    {
        _requests?.Take(1, now);
        _tokens?.Take(tokens, now);
    }

    /// <summary>Its answer is there: what it took in place of the <paramref name="estimate"/>.</summary>
    public void Settle(double estimate, int promptTokens, int completionTokens, TimeSpan now)
    {
        const double Weight = 0.05;
        _tokens?.Take(promptTokens + completionTokens - estimate, now);
        _meanCompletion = _meanCompletion < 0 ? completionTokens : _meanCompletion + (Weight * (completionTokens - _meanCompletion));
    }

    /// <summary>It was not sent after all.</summary>
    public void TakeBack(double estimate, TimeSpan now)
    {
        _requests?.Take(-1, now);
        _tokens?.Take(-estimate, now);
    }

    /// <summary>It was sent and took nothing: it was refused, or never arrived.</summary>
    public void Refund(double estimate, TimeSpan now) => _tokens?.Take(-estimate, now);

    /// <summary>The server wants nothing more before then.</summary>
    public void PauseUntil(TimeSpan until) => _pausedUntil = until > _pausedUntil ? until : _pausedUntil;
}
