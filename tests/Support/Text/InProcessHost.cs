using System.IO.Pipes;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Hosting;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Tests.Support;

/// <summary>A tokenizer host on a thread of this process, spoken to through pipes as one in a process of its own is.</summary>
sealed class InProcessHost : IDisposable
{
    readonly AnonymousPipeServerStream _requests = new(PipeDirection.Out);
    readonly AnonymousPipeServerStream _replies = new(PipeDirection.In);
    readonly Thread _thread;

    public InProcessHost()
    {
        var requests = new AnonymousPipeClientStream(PipeDirection.In, _requests.ClientSafePipeHandle);
        var replies = new AnonymousPipeClientStream(PipeDirection.Out, _replies.ClientSafePipeHandle);
        _thread = new Thread(() =>
        {
            using (requests)
            using (replies)
            {
                TokenizerHost.Serve(requests, replies);
            }
        });
        _thread.Start();
    }

    /// <summary>Why the file that was loaded is not read by the library itself.</summary>
    public Exception? Unsupported { get; private set; }

    public HostedTokenizer Load(string file, UnsupportedTokenizerException unsupported)
    {
        Unsupported = unsupported;
        return HostedTokenizer.On(
            new HostConnection(_requests, _replies, () => new HostEndedException(false, "the host was ended")),
            file,
            unsupported
        );
    }

    /// <summary>Ends the host.</summary>
    public void Dispose()
    {
        _requests.Dispose();
        _thread.Join();
        _replies.Dispose();
    }
}
