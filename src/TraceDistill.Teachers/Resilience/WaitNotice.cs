using Polly.Timeout;
using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Resilience;

/// <summary>Says why nothing moves: one line a minute at most, however many requests wait for the same thing.</summary>
sealed class WaitNotice(TimeProvider time, IRunObserver observer)
{
    static readonly TimeSpan ShortestTold = TimeSpan.FromSeconds(5);
    static readonly TimeSpan Silence = TimeSpan.FromMinutes(1);

    readonly Lock _lock = new();
    DateTimeOffset _next;

    /// <param name="failure">The attempt's failure; a pause of the circuit breaker is reported by the breaker.</param>
    /// <param name="delay">How long the next attempt waits.</param>
    public void Tell(Exception? failure, TimeSpan delay)
    {
        var told = failure switch
        {
            TeacherRequestException e when delay >= ShortestTold => e.Message,
            TimeoutRejectedException e => $"no whole answer within {e.Timeout.TotalSeconds:0} s",
            _ => null,
        };
        if (told is not null && IsDue())
        {
            observer.Message($"{told}; trying again in {delay.TotalSeconds:0} s");
        }
    }

    bool IsDue()
    {
        lock (_lock)
        {
            var now = time.GetUtcNow();
            if (now < _next)
            {
                return false;
            }

            _next = now + Silence;
            return true;
        }
    }
}
