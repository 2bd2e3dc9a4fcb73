using System.Runtime.InteropServices;

namespace TraceDistill.Cli.CommandLine;

/// <summary>Ctrl-C and SIGTERM ask for an orderly end; a second one ends the process at once, as the system does.</summary>
sealed class Interruption : IDisposable
{
    readonly CancellationTokenSource _source = new();
    readonly PosixSignalRegistration[] _signals;
    int _received;

    public Interruption() =>
        _signals = [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];

    public CancellationToken Token => _source.Token;

    /// <summary>Asks for an orderly end as a signal does.</summary>
    public void Request() => _source.Cancel();

    public void Dispose()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        _source.Dispose();
    }

    void Handle(PosixSignalContext context)
    {
        // The signal may come right after the same was asked for otherwise, and is the first one still.
        if (Interlocked.Increment(ref _received) == 1)
        {
            context.Cancel = true;
            Request();
        }
    }
}
