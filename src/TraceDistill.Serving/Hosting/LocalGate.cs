using System.Net;
using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Hosting;

/// <summary>
/// Keeps web pages out of a server without a key: on loopback it is reached by whatever runs on
/// this machine, and a browser runs strangers' code. A name of theirs may be made to mean this
/// address (DNS rebinding), and any page may post what a form could post, JSON not among it.
/// </summary>
static class LocalGate
{
    /// <exception cref="ApiException">403: the host is another one; 415: the body is not said to be JSON.</exception>
    public static void Check(HttpRequest request)
    {
        if (!IsLocal(request.Host.Host))
        {
            throw new ApiException(
                403,
                "a server without an API key answers to localhost, 127.0.0.1 and [::1] alone: call it so, or start it with an API key",
                "host_not_allowed"
            );
        }

        if (HttpMethods.IsPost(request.Method) && !request.HasJsonContentType())
        {
            throw new ApiException(
                415,
                "the body must be JSON: send it with the header Content-Type: application/json",
                "unsupported_media_type"
            );
        }
    }

    static bool IsLocal(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.AsSpan().TrimStart('[').TrimEnd(']'), out var address) && IPAddress.IsLoopback(address));
}
