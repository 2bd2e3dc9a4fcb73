using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;
using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Resilience;

/// <summary>Retry strategies: which failures, how often, and after how long.</summary>
static class RetryStrategies
{
    /// <summary>Returns whether the same request may succeed later, though the teacher is not merely busy.</summary>
    public static bool IsOutage(Exception? failure) =>
        failure is TimeoutRejectedException or TeacherRequestException { Scope: FailureScope.Passing, Overloaded: false };

    /// <summary>Returns whether the teacher may be there again in a while.</summary>
    public static bool IsPassing(TeacherUnavailableException failure) =>
        failure.InnerException
            is TimeoutRejectedException
                or BrokenCircuitException
                or TeacherRequestException { Scope: FailureScope.Passing };

    /// <summary>Returns whether it says that the endpoint was given more than it can do.</summary>
    public static bool IsOverload(Exception? failure) => failure is TeacherRequestException { Status: 429 or 503 or 529 };

    /// <summary>
    /// Adds a retry while the teacher is busy around a retry of what fails. Two, because each counts
    /// for itself: having waited for a busy teacher takes nothing from the patience with a failing one.
    /// </summary>
    /// <param name="builder">Gets the strategies.</param>
    /// <param name="options">Counts and delays.</param>
    /// <param name="random">Uniform numbers in [0, 1) for the jitter.</param>
    /// <param name="notice">Notified of every wait.</param>
    /// <param name="elsewhere">Returns whether the next attempt goes to another endpoint at once, whatever this one's failure.</param>
    /// <param name="isFinal">Returns whether a request's failure is final because part of its answer is with the caller.</param>
    /// <param name="stop">Ends waits, in a <see cref="NotSentException"/>; attempts go on.</param>
    public static ResiliencePipelineBuilder AddRetries(
        this ResiliencePipelineBuilder builder,
        ResilienceOptions options,
        Func<double> random,
        WaitNotice notice,
        Func<ResilienceContext, bool> elsewhere,
        Func<ResilienceContext, bool> isFinal,
        CancellationToken stop = default
    )
    {
        return builder
            .AddRetry(Retry(options.MaxOverloadRetries, (failure, _) => failure is TeacherRequestException { Overloaded: true }))
            .AddRetry(
                Retry(options.MaxRetries, (failure, context) =>
                    IsOutage(failure) || failure is BrokenCircuitException || (IsFinalHere(failure) && elsewhere(context))
                )
            );

        RetryStrategyOptions Retry(int most, Func<Exception?, ResilienceContext, bool> isHandled) =>
            new()
            {
                MaxRetryAttempts = int.MaxValue, // Polly takes no 0.
                ShouldHandle = args =>
                    ValueTask.FromResult(
                        args.AttemptNumber < most && !isFinal(args.Context) && isHandled(args.Outcome.Exception, args.Context)
                    ),

                // Waited for below: Polly's own delay ends with the request's token alone, which would end an attempt too.
                DelayGenerator = _ => ValueTask.FromResult<TimeSpan?>(TimeSpan.Zero),
                OnRetry = async args =>
                {
                    var delay = elsewhere(args.Context)
                        ? TimeSpan.Zero
                        : DelayAfter(args.Outcome.Exception, args.AttemptNumber, options, random);
                    notice.Tell(args.Outcome.Exception, delay);
                    await WaitAsync(delay, builder.TimeProvider ?? TimeProvider.System, stop, args.Context.CancellationToken);
                },
            };
    }

    static async Task WaitAsync(TimeSpan delay, TimeProvider time, CancellationToken stop, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, stop);
        try
        {
            await Task.Delay(delay, time, either.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new NotSentException();
        }
    }

    /// <summary>Returns whether nothing is gained by asking the same endpoint again, while another one may do it.</summary>
    static bool IsFinalHere(Exception? failure) =>
        failure is TeacherRequestException { Scope: FailureScope.Teacher or FailureScope.Request };

    /// <summary>
    /// Doubles from the first delay up to the longest, half of it random, and is never shorter than what the server asked for.
    /// </summary>
    static TimeSpan DelayAfter(Exception? failure, int attempt, ResilienceOptions options, Func<double> random)
    {
        var ceiling = Math.Min(options.FirstDelay.TotalSeconds * Math.Pow(2, Math.Min(attempt, 30)), options.LongestDelay.TotalSeconds);
        var asked = failure switch
        {
            TeacherRequestException { RetryAfter: { } wait } => wait,
            BrokenCircuitException { RetryAfter: { } wait } => wait,
            _ => TimeSpan.Zero,
        };

        // Jitter on top of what was asked for too, or everyone who was told "7 seconds" comes back in the same instant.
        var jitter = random();
        return TimeSpan.FromSeconds(Math.Max(asked.TotalSeconds * (1 + (0.1 * jitter)), ceiling * (0.5 + (0.5 * jitter))));
    }
}
