using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;
using TraceDistill.Core.Observation;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Resilience;

/// <summary>
/// What stands between a request and the wire, outermost first: concurrency limit, retry while the teacher is busy, retry of what fails, circuit
/// breaker, timeout of an attempt.
/// </summary>
/// <remarks>Two retries, because each counts for itself: having waited for a busy teacher takes nothing from the patience with a failing one.</remarks>
sealed class TeacherPipeline
{
    static readonly ResiliencePropertyKey<TimeSpan> AttemptTimeout = new("attempt-timeout");

    readonly ResiliencePipeline _pipeline;
    readonly ResilienceOptions _options;
    readonly Func<double> _random;
    readonly WaitNotice _notice;

    /// <param name="options">Limits and delays.</param>
    /// <param name="time">The clock of delays, timeouts and the breaker.</param>
    /// <param name="random">Uniform numbers in [0, 1) for the jitter.</param>
    /// <param name="observer">Told when the breaker opens, and what is waited for where it takes long.</param>
    public TeacherPipeline(ResilienceOptions options, TimeProvider time, Func<double> random, IRunObserver observer)
    {
        _options = options;
        _random = random;
        _notice = new WaitNotice(time, observer);
        _pipeline = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddConcurrencyLimiter(options.Concurrency, queueLimit: int.MaxValue)
            .AddRetry(Retry(options.MaxOverloadRetries, failure => failure is TeacherRequestException { Overloaded: true }))
            .AddRetry(Retry(options.MaxRetries, failure => IsOutage(failure) || failure is BrokenCircuitException))
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions
            {
                FailureRatio = 0.5,
                MinimumThroughput = 10,
                SamplingDuration = TimeSpan.FromMinutes(1),
                BreakDuration = options.Pause,
                ShouldHandle = args => ValueTask.FromResult(IsOutage(args.Outcome.Exception)),
                OnOpened = args =>
                {
                    observer.Message($"{args.Outcome.Exception?.Message}; pausing for {args.BreakDuration.TotalSeconds:0} s");
                    return ValueTask.CompletedTask;
                },
            })
            .AddTimeout(new TimeoutStrategyOptions
            {
                TimeoutGenerator = args => ValueTask.FromResult(args.Context.Properties.GetValue(AttemptTimeout, TimeSpan.FromMinutes(1))),
            })
            .Build();
    }

    /// <summary>Runs <paramref name="attempt"/> until it succeeds or patience ends; then its last failure is thrown.</summary>
    public async Task<T> ExecuteAsync<T>(Func<CancellationToken, Task<T>> attempt, TimeSpan attemptTimeout, CancellationToken cancellationToken)
    {
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        try
        {
            context.Properties.Set(AttemptTimeout, attemptTimeout);
            return await _pipeline.ExecuteAsync(static async (context, attempt) => await attempt(context.CancellationToken), context, attempt);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    static bool IsOutage(Exception? failure) => failure is TimeoutRejectedException or TeacherRequestException { Scope: FailureScope.Passing, Overloaded: false };

    RetryStrategyOptions Retry(int most, Func<Exception?, bool> isHandled) => new()
    {
        MaxRetryAttempts = int.MaxValue, // Polly takes no 0.
        ShouldHandle = args => ValueTask.FromResult(args.AttemptNumber < most && isHandled(args.Outcome.Exception)),
        DelayGenerator = args => ValueTask.FromResult<TimeSpan?>(DelayAfter(args.Outcome.Exception, args.AttemptNumber)),
        OnRetry = args =>
        {
            _notice.Tell(args.Outcome.Exception, args.RetryDelay);
            return ValueTask.CompletedTask;
        },
    };

    /// <summary>Doubles from the first delay up to the longest, half of it random, and is never shorter than what the server asked for.</summary>
    TimeSpan DelayAfter(Exception? failure, int attempt)
    {
        var ceiling = Math.Min(_options.FirstDelay.TotalSeconds * Math.Pow(2, Math.Min(attempt, 30)), _options.LongestDelay.TotalSeconds);
        var asked = failure switch
        {
            TeacherRequestException { RetryAfter: { } wait } => wait,
            BrokenCircuitException { RetryAfter: { } wait } => wait,
            _ => TimeSpan.Zero,
        };

        // Jitter on top of what was asked for too, or everyone who was told "7 seconds" comes back in the same instant.
        var jitter = _random();
        return TimeSpan.FromSeconds(Math.Max(asked.TotalSeconds * (1 + (0.1 * jitter)), ceiling * (0.5 + (0.5 * jitter))));
    }
}
