using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers.Routing;

/// <summary>Looks at every response's headers for what is left of the account's rate limits.</summary>
/// <param name="inner">Sends the request.</param>
/// <param name="time">The clock that moments in headers are compared with.</param>
/// <param name="exhausted">Invoked with the time for which nothing is left.</param>
sealed class RateLimitHandler(HttpMessageHandler inner, TimeProvider time, Action<TimeSpan> exhausted) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if (RateLimitHeaders.WaitOf(response.Headers, time.GetUtcNow()) is { } wait && wait > TimeSpan.Zero)
        {
            exhausted(wait);
        }

        return response;
    }
}
