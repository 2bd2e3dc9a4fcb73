using Polly;
using TraceDistill.Data.Contracts;

namespace TraceDistill.Teachers.Resilience;

/// <summary>
/// Patience with a single endpoint, outermost first: retry while the teacher is busy, retry
/// of what fails, circuit breaker, timeout of an attempt.
/// </summary>
sealed class TeacherPipeline
{
    readonly ResiliencePipeline _retries;
    readonly AttemptPipeline _attempt;

    /// <param name="options">Limits and delays.</param>
    /// <param name="time">The clock of delays, timeouts and the breaker.</param>
    /// <param name="random">Uniform numbers in [0, 1) for the jitter.</param>
    /// <param name="observer">Takes messages on long waits.</param>
    public TeacherPipeline(ResilienceOptions options, TimeProvider time, Func<double> random, IRunObserver observer)
    {
        _retries = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetries(options, random, new WaitNotice(time, observer), elsewhere: _ => false, isFinal: _ => false)
            .Build();
        _attempt = new AttemptPipeline(options, time, isOneOfMany: false, opened: _ => { }, closed: () => { });
    }

    /// <summary>Runs <paramref name="attempt"/> until it succeeds or patience ends; then its last failure is thrown.</summary>
    public async Task<T> ExecuteAsync<T>(
        Func<CancellationToken, Task<T>> attempt,
        TimeSpan attemptTimeout,
        CancellationToken cancellationToken
    ) => await _retries.ExecuteAsync(async token => await _attempt.ExecuteAsync(attempt, attemptTimeout, token), cancellationToken);
}
