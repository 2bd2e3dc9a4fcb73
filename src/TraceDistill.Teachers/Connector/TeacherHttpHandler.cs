using System.Net;
using System.Net.Sockets;

namespace TraceDistill.Teachers.Connector;

/// <summary>The connection pool for one teacher.</summary>
static class TeacherHttpHandler
{
    /// <param name="concurrency">Requests in flight at once.</param>
    public static SocketsHttpHandler Create(int concurrency) =>
        new()
        {
            MaxConnectionsPerServer = concurrency,
            ConnectTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionLifetime = TimeSpan.FromMinutes(15),
            UseCookies = false,

            // Followed redirects would carry the prompt, and headers of a dialect's own the key, to wherever a response says.
            AllowAutoRedirect = false,
            EnableMultipleHttp2Connections = true,
            ConnectCallback = ConnectAsync,
        };

    /// <summary>
    /// A client over <paramref name="handler"/> that speaks HTTP/2 where https offers it and
    /// sets no time limit: attempts have one of their own.
    /// </summary>
    public static HttpClient CreateClient(HttpMessageHandler handler) => Configure(new HttpClient(handler));

    /// <inheritdoc cref="CreateClient"/>
    public static HttpClient Configure(HttpClient client)
    {
        client.Timeout = Timeout.InfiniteTimeSpan;
        client.DefaultRequestVersion = HttpVersion.Version20;
        client.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower;
        return client;
    }

    /// <summary>
    /// With TCP keep-alive: a long trace leaves its connection silent for minutes, and middleboxes drop silent connections.
    /// </summary>
    static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 30);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 30);
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
