using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Hosting;

/// <summary>
/// Bounds how many sequences run or wait; what is beyond is asked at once to come back, instead of timing out in a queue.
/// </summary>
sealed class AdmissionGate(int capacity)
{
    const int RetryAfterSeconds = 1;

    int _inside;

    /// <summary>Takes <paramref name="count"/> places until the ticket is disposed of.</summary>
    /// <exception cref="ApiException">429: they are not free; 400: there are not that many.</exception>
    public Ticket Enter(int count)
    {
        if (count > capacity)
        {
            throw ApiException.BadField("n", $"and the prompts ask for {count} sequences, but this server takes {capacity} at a time");
        }

        if (Interlocked.Add(ref _inside, count) > capacity)
        {
            Interlocked.Add(ref _inside, -count);
            throw new ApiException(429, $"the queue is full ({capacity} sequences): try again later", "queue_full")
            {
                RetryAfter = RetryAfterSeconds,
            };
        }

        return new Ticket(this, count);
    }

    public readonly struct Ticket(AdmissionGate gate, int count) : IDisposable
    {
        public void Dispose() => Interlocked.Add(ref gate._inside, -count);
    }
}
