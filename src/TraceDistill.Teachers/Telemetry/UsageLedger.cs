using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Telemetry;

/// <summary>
/// Ledger of a collection's usage of its teacher, over all its runs: kept in a hidden file beside the shards, written about once a second
/// and at the end.
/// </summary>
sealed class UsageLedger : IDisposable
{
    static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    readonly string _path;
    readonly IReadOnlyList<EndpointRecord> _before;
    readonly IReadOnlyList<EndpointMeter> _meters;
    readonly TimeProvider _time;
    readonly Lock _saving = new();
    readonly long _tokensBefore;
    readonly double _costBefore;
    long _saved;
    bool _isDisposed;

    /// <param name="path">The file; absent before the first run.</param>
    /// <param name="meters">Count this run.</param>
    /// <param name="time">The clock of writing.</param>
    /// <exception cref="InvalidInputException">The file is damaged.</exception>
    public UsageLedger(string path, IReadOnlyList<EndpointMeter> meters, TimeProvider time)
    {
        (_path, _before, _meters, _time) = (path, Read(path), meters, time);
        _tokensBefore = _before.Sum(record => record.PromptTokens + record.CompletionTokens);
        _costBefore = _before.Sum(record => record.Cost ?? 0);
        _saved = time.GetTimestamp();
    }

    /// <summary>Prompt and generated tokens, and what they cost.</summary>
    public (long Tokens, double Cost) Spent
    {
        get
        {
            var (tokens, cost) = (_tokensBefore, _costBefore);
            foreach (var meter in _meters)
            {
                var spent = meter.Spent;
                (tokens, cost) = (tokens + spent.Tokens, cost + spent.Cost);
            }

            return (tokens, cost);
        }
    }

    /// <summary>Content of the file, summed up; null where there is none.</summary>
    public static CollectionUsage? Summarize(string path) => Read(path) is { Count: > 0 } records ? CollectionUsage.Of(records) : null;

    /// <summary>Has the file written where that was not done for a second. Nobody waits for the disk.</summary>
    public void SaveNowAndThen()
    {
        var saved = Volatile.Read(ref _saved);
        if (_time.GetElapsedTime(saved) >= Interval && Interlocked.CompareExchange(ref _saved, _time.GetTimestamp(), saved) == saved)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static ledger => ledger.Save(), this, preferLocal: false);
        }
    }

    public void Dispose()
    {
        lock (_saving)
        {
            Write();
            _isDisposed = true;
        }
    }

    void Save()
    {
        lock (_saving)
        {
            if (!_isDisposed)
            {
                Write();
            }
        }
    }

    /// <summary>A full disk is for the journal to tell, whose traces are at stake.</summary>
    void Write()
    {
        try
        {
            JsonFile.Write(_path, Records());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    List<EndpointRecord> Records() =>
        [
            .. _before
                .Concat(_meters.Select(meter => meter.ToRecord()))
                .GroupBy(record => record.Endpoint)
                .Select(same => same.Aggregate((sum, record) => sum.Plus(record))),
        ];

    static List<EndpointRecord> Read(string path)
    {
        if (!File.Exists(path))
        {
            return [];
        }

        try
        {
            return JsonFile.Read<List<EndpointRecord>>(path);
        }
        catch (JsonException e)
        {
            throw new InvalidInputException(
                $"{path}: is not the record of what the collection has used so far; restore it, or delete it and count from zero",
                e
            );
        }
    }
}
