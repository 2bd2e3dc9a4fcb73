using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace TraceDistill.Teachers.Resilience;

/// <summary>Pipeline between one attempt and one endpoint: a circuit breaker around a timeout.</summary>
sealed class AttemptPipeline
{
    static readonly ResiliencePropertyKey<TimeSpan> AttemptTimeout = new("attempt-timeout");

    readonly ResiliencePipeline _pipeline;
    readonly CircuitBreakerManualControl _control = new();

    /// <param name="options">How long the breaker stays open.</param>
    /// <param name="time">The clock of timeouts and the breaker.</param>
    /// <param name="isOneOfMany">
    /// True where there are other endpoints: then five failures in a row within ten seconds open it too.
    /// An endpoint that fails at once has always room for more, and would draw all requests to it.
    /// </param>
    /// <param name="opened">Invoked with the reason when the breaker opens.</param>
    /// <param name="closed">Invoked when it is closed again.</param>
    public AttemptPipeline(ResilienceOptions options, TimeProvider time, bool isOneOfMany, Action<Exception?> opened, Action closed)
    {
        var builder = new ResiliencePipelineBuilder { TimeProvider = time }.AddCircuitBreaker(
            Breaker(failureRatio: 0.5, minimumThroughput: 10, TimeSpan.FromMinutes(1))
        );
        if (isOneOfMany)
        {
            builder.AddCircuitBreaker(Breaker(failureRatio: 1, minimumThroughput: 5, TimeSpan.FromSeconds(10)));
        }

        _pipeline = builder
            .AddTimeout(
                new TimeoutStrategyOptions
                {
                    TimeoutGenerator = args =>
                        ValueTask.FromResult(args.Context.Properties.GetValue(AttemptTimeout, TimeSpan.FromMinutes(1))),
                }
            )
            .Build();

        CircuitBreakerStrategyOptions Breaker(double failureRatio, int minimumThroughput, TimeSpan within) =>
            new()
            {
                FailureRatio = failureRatio,
                MinimumThroughput = minimumThroughput,
                SamplingDuration = within,
                BreakDuration = options.Pause,
                ManualControl = _control,
                ShouldHandle = args => ValueTask.FromResult(RetryStrategies.IsOutage(args.Outcome.Exception)),
                OnOpened = args =>
                {
                    opened(args.Outcome.Exception);
                    return ValueTask.CompletedTask;
                },
                OnClosed = _ =>
                {
                    closed();
                    return ValueTask.CompletedTask;
                },
            };
    }

    /// <summary>Makes one attempt.</summary>
    /// <exception cref="BrokenCircuitException">Nothing was sent: the endpoint keeps failing.</exception>
    /// <exception cref="TimeoutRejectedException">It took too long.</exception>
    public async Task<T> ExecuteAsync<T>(Func<CancellationToken, Task<T>> attempt, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        try
        {
            context.Properties.Set(AttemptTimeout, timeout);
            return await _pipeline.ExecuteAsync(
                static async (context, attempt) => await attempt(context.CancellationToken),
                context,
                attempt
            );
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    /// <summary>The endpoint answers again.</summary>
    public Task CloseAsync(CancellationToken cancellationToken) => _control.CloseAsync(cancellationToken);
}
