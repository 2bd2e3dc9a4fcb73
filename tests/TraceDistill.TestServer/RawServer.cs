using System.Net;
using System.Net.Sockets;

namespace TraceDistill.TestServer;

/// <summary>Answers whatever is sent with bytes that no HTTP server would let through, and hangs up.</summary>
public sealed class RawServer : IAsyncDisposable
{
    readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource _stop = new();
    readonly byte[] _answer;
    readonly Task _serving;

    /// <param name="answer">Status line, headers and body, to the byte.</param>
    public RawServer(ReadOnlySpan<byte> answer)
    {
        _answer = answer.ToArray();
        _listener.Start();
        Url = $"http://{_listener.LocalEndpoint}/v1";
        _serving = ServeAsync();
    }

    /// <summary>Ends in <c>/v1</c>.</summary>
    public string Url { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _listener.Dispose();
        _stop.Dispose();
    }

    async Task ServeAsync()
    {
        var request = new byte[65_536];
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                var stream = client.GetStream();
                await stream.ReadAtLeastAsync(request, 1, throwOnEndOfStream: false, _stop.Token);
                await stream.WriteAsync(_answer, _stop.Token);
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
            {
                // The client hung up first, or the test is over.
            }
        }
    }
}
