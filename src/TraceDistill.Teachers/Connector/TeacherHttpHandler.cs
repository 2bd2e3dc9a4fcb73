using System.Net;
using System.Net.Sockets;

namespace TraceDistill.Teachers.Connector;

/// <summary>The connection pool for one teacher.</summary>
static class TeacherHttpHandler
{
    /// <param name="endpoint">On this machine, compression would only cost both sides time.</param>
    /// <param name="concurrency">Requests in flight at once.</param>
    public static SocketsHttpHandler Create(TeacherEndpoint endpoint, int concurrency) => new()
    {
        MaxConnectionsPerServer = concurrency,
        AutomaticDecompression = endpoint.BaseAddress.IsLoopback ? DecompressionMethods.None : DecompressionMethods.All,
        ConnectTimeout = TimeSpan.FromSeconds(15),
        PooledConnectionLifetime = TimeSpan.FromMinutes(15),
        UseCookies = false,
        ConnectCallback = ConnectAsync,
    };

    /// <summary>With TCP keep-alive: a long trace leaves its connection silent for minutes, and middleboxes drop silent connections.</summary>
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
