using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Hosting;

/// <summary>
/// Bounds the memory of all request bodies in flight together; each takes of it as it
/// arrives, and gives it back when its request is answered.
/// </summary>
/// <param name="most">Bytes of all bodies together.</param>
/// <param name="mostOfOne">Bytes of a single one.</param>
sealed class BodyBudget(long most, long mostOfOne)
{
    const int RetryAfterSeconds = 1;

    long _taken;

    public Share Open() => new(this);

    public sealed class Share(BodyBudget budget) : IDisposable
    {
        long _bytes;

        /// <summary>Refuses a body that says that it is too large, before any of it is read.</summary>
        /// <exception cref="ApiException">413.</exception>
        public void Announce(long? bytes)
        {
            if (bytes > budget.MostOfOne)
            {
                throw new ApiException(
                    413,
                    $"the request is larger than {budget.MostOfOne >> 20} MiB, the most that this server takes",
                    "request_too_large"
                );
            }
        }

        /// <exception cref="ApiException">413: this body is too large; 429: the others have taken what there is.</exception>
        public void Take(int bytes)
        {
            Announce(_bytes + bytes);
            _bytes += bytes;
            if (Interlocked.Add(ref budget._taken, bytes) > budget.Most)
            {
                throw new ApiException(
                    429,
                    $"the requests in flight hold {budget.Most >> 20} MiB, the most that this server takes: try again later",
                    "bodies_full"
                )
                {
                    RetryAfter = RetryAfterSeconds,
                };
            }
        }

        public void Dispose() => Interlocked.Add(ref budget._taken, -Interlocked.Exchange(ref _bytes, 0));
    }

    long Most => most;

    long MostOfOne => mostOfOne;
}
