using Polly.Timeout;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Telemetry;

/// <summary>Counts what one endpoint is asked for in this run and what comes of it.</summary>
sealed class EndpointMeter(string endpoint, TokenPrice? price)
{
    readonly Lock _lock = new();
    readonly LatencyHistogram _latencies = new();
    readonly AnswerLengths _lengths = new();
    readonly Dictionary<string, long> _failures = [];
    long _promptTokens;
    long _completionTokens;
    long _unreadTokens;
    long _hedged;
    long _probeTokens;

    /// <summary>Price of a million tokens there; null where that is not known.</summary>
    public TokenPrice? Price => price;

    /// <summary>Prompt and generated tokens, and what they cost.</summary>
    public (long Tokens, double Cost) Spent
    {
        get
        {
            lock (_lock)
            {
                return (_promptTokens + _completionTokens, price?.Of(_promptTokens, _completionTokens) ?? 0);
            }
        }
    }

    public void Answered(TimeSpan latency, int promptTokens, int completionTokens)
    {
        lock (_lock)
        {
            _latencies.Add(latency);
            _lengths.Add(completionTokens);
            _promptTokens += promptTokens;
            _completionTokens += completionTokens;
        }
    }

    /// <summary>An attempt failed.</summary>
    /// <param name="failure">Why.</param>
    /// <param name="promptTokens">Tokens of its prompt.</param>
    /// <param name="mostCompletionTokens">
    /// Most tokens that it may have generated; where its answer was lost, see <see cref="AnswerLengths.Lost"/>.
    /// </param>
    /// <param name="pieces">Pieces of a streamed answer that came before it broke off: where there are any, they count as they are.</param>
    public void Failed(Exception failure, int promptTokens, int mostCompletionTokens, int pieces = 0)
    {
        lock (_lock)
        {
            var kind = KindOf(failure);
            _failures[kind] = _failures.GetValueOrDefault(kind) + 1;
            if (pieces > 0)
            {
                AddUnread(promptTokens, Math.Min(pieces, mostCompletionTokens));
            }
            else if (MayHaveBeenGenerated(failure))
            {
                AddUnread(promptTokens, _lengths.Lost(mostCompletionTokens));
            }
        }
    }

    /// <summary>A request of a probe was answered: it counts, but it is no trace.</summary>
    public void Probed(int promptTokens, int completionTokens)
    {
        lock (_lock)
        {
            _probeTokens += promptTokens + completionTokens;
            _promptTokens += promptTokens;
            _completionTokens += completionTokens;
        }
    }

    /// <summary>
    /// A hedged request lost against its other copy: what it took until it was cancelled is not known, and at most what the other took.
    /// </summary>
    public void Hedged(int promptTokens, int completionTokens)
    {
        lock (_lock)
        {
            _hedged++;
            AddUnread(promptTokens, completionTokens);
        }
    }

    /// <summary>
    /// A request was given up because the run ends: what it took is not known, and taken to be
    /// as much as those that were answered took on average.
    /// </summary>
    public void Abandoned(int promptTokens, int mostCompletionTokens)
    {
        lock (_lock)
        {
            AddUnread(promptTokens, _lengths.Abandoned(mostCompletionTokens));
        }
    }

    public EndpointRecord ToRecord()
    {
        lock (_lock)
        {
            return new EndpointRecord
            {
                Endpoint = endpoint,
                Answered = _latencies.Count,
                Failures = new SortedDictionary<string, long>(_failures, StringComparer.Ordinal),
                Hedged = _hedged,
                PromptTokens = _promptTokens,
                CompletionTokens = _completionTokens,
                ProbeTokens = _probeTokens,
                UnreadTokens = _unreadTokens,
                Cost = price?.Of(_promptTokens, _completionTokens),
                Latencies = new SortedDictionary<int, long>(_latencies.Buckets.ToDictionary()),
            };
        }
    }

    /// <summary>Returns whether the server may have generated an answer, and charge for it, that did not get here.</summary>
    /// <remarks>Gateways answer 502, 504 or 524 where they gave up on one.</remarks>
    static bool MayHaveBeenGenerated(Exception failure) =>
        failure
            is TimeoutRejectedException
                or TeacherRequestException { Status: null, NoConnection: false }
                or TeacherRequestException { Status: 502 or 504 or 524 }
                or TeacherRequestException { IsOfStream: true };

    void AddUnread(int promptTokens, int completionTokens)
    {
        _unreadTokens += promptTokens + completionTokens;
        _promptTokens += promptTokens;
        _completionTokens += completionTokens;
    }

    /// <summary>The kind of failure in a word, as in <see cref="EndpointUsage.Failures"/> and OpenTelemetry's <c>error.type</c>.</summary>
    public static string KindOf(Exception failure) =>
        failure switch
        {
            TimeoutRejectedException => "timeout",
            TeacherRequestException { Status: { } status } => $"http_{status}",
            TeacherRequestException { NoConnection: true } => "no_connection",
            TeacherRequestException { InnerException: Wire.WireFormatException } => "unusable_response",
            TeacherRequestException => "broken_connection",
            _ => failure.GetType().Name,
        };
}
