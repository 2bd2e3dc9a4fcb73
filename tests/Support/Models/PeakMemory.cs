namespace TraceDistill.Tests.Support;

/// <summary>Asks for what the process holds, over and over.</summary>
sealed class PeakMemory : IDisposable
{
    readonly Timer _timer;
    long _bytes;

    public PeakMemory() =>
        _timer = new Timer(
            _ => Interlocked.Exchange(ref _bytes, Math.Max(Interlocked.Read(ref _bytes), Environment.WorkingSet)),
            null,
            0,
            5
        );

    public long Bytes => Math.Max(Interlocked.Read(ref _bytes), Environment.WorkingSet);

    public void Dispose() => _timer.Dispose();
}
