using Polly.CircuitBreaker;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Pool;

/// <summary>The way to one endpoint of a pool: breaker, timeout, client, connections; counted and measured.</summary>
sealed class TeacherLane : IDisposable
{
    static readonly TimeSpan HealthCheckTimeout = TimeSpan.FromSeconds(10);
    static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);

    readonly int _index;
    readonly EndpointRouter _router;
    readonly ResilienceOptions _options;
    readonly TimeProvider _time;
    readonly IRunObserver _observer;
    readonly Func<double> _random;
    readonly TeacherInstruments _instruments;
    readonly HttpClient _http;
    readonly TeacherClient _client;
    readonly AttemptPipeline _attempts;
    readonly ScoringGuard _guard;
    readonly CancellationTokenSource _disposed = new();
    Func<CancellationToken, Task<TeacherCapabilities>>? _probe;
    TeacherCapabilities? _expected;
    volatile string? _unlike;
    volatile bool _hasAnswered;
    int _isWatched;
    int _isRemoved;

    /// <param name="pooled">Where it leads.</param>
    /// <param name="index">Its number at the router.</param>
    /// <param name="isOneOfMany">True where there are other lanes.</param>
    public TeacherLane(
        PooledEndpoint pooled,
        int index,
        bool isOneOfMany,
        EndpointRouter router,
        ResilienceOptions options,
        TimeProvider time,
        IRunObserver observer,
        Func<double> random,
        TeacherInstruments instruments
    )
    {
        (_index, _router, _options, _time, _observer, _random, _instruments) = (
            index,
            router,
            options,
            time,
            observer,
            random,
            instruments
        );
        Endpoint = pooled.Endpoint;
        Meter = new EndpointMeter(pooled.Name, pooled.Price);
        Measured = MeasuredTeacher.At(Endpoint);
        _guard = new ScoringGuard(Endpoint);

        var handler = pooled.Handler ?? TeacherHttpHandler.Create(pooled.Concurrency ?? options.Concurrency);
        _http = TeacherHttpHandler.CreateClient(new RateLimitHandler(handler, time, wait => router.Pause(index, wait)));
        _client = new TeacherClient(_http, Endpoint, time, observer);
        _attempts = new AttemptPipeline(options, time, isOneOfMany, isOneOfMany ? LeaveOut : Pause, isOneOfMany ? TakeBack : () => { });
    }

    public TeacherEndpoint Endpoint { get; }

    public EndpointMeter Meter { get; }

    /// <summary>Its name in spans and metrics.</summary>
    public MeasuredTeacher Measured { get; }

    /// <summary>Makes one attempt.</summary>
    /// <param name="call">The request.</param>
    /// <param name="received">Invoked once the whole answer is there, before it is parsed.</param>
    /// <param name="cancellationToken">Abandons the attempt.</param>
    public async Task<PoolAnswer> AskAsync(PoolCall call, Action received, CancellationToken cancellationToken)
    {
        if (_unlike is { } difference)
        {
            throw new TeacherRequestException(FailureScope.Teacher, difference);
        }

        var progress = new AnswerProgress(received, call.Told);
        using var activity = TeacherInstruments.Start(Measured, call.Sampling, call.IsScoring);
        var start = _time.GetTimestamp();
        try
        {
            var answer = await _attempts.ExecuteAsync(token => AttemptAsync(call, progress, token), call.Timeout, cancellationToken);
            var latency = _time.GetElapsedTime(start);
            Meter.Answered(latency, answer.PromptTokens, answer.CompletionTokens);
            _instruments.Answered(
                activity,
                Measured,
                call.IsScoring,
                answer.FinishReason,
                answer.PromptTokens,
                answer.CompletionTokens,
                latency
            );
            return answer;
        }
        catch (Exception e) when (e is not (OperationCanceledException or BrokenCircuitException))
        {
            Meter.Failed(e, call.PromptTokens, call.Sampling.MaxTokens, progress.Pieces);
            _instruments.Failed(activity, Measured, call.IsScoring, e, _time.GetElapsedTime(start));
            throw;
        }
    }

    /// <inheritdoc cref="CapabilityProbe.RunAsync"/>
    public async Task<TeacherCapabilities> ProbeAsync(
        SamplingSettings sampling,
        TeacherCapabilities? known,
        CancellationToken cancellationToken
    )
    {
        var found = await new CapabilityProbe(_client, new ProbeTraffic(_client, _router, _index, Meter), _time, _random).RunAsync(
            sampling,
            known,
            cancellationToken
        );
        _hasAnswered = true;
        return found;
    }

    /// <inheritdoc cref="ScoringProbe.RunAsync"/>
    /// <param name="tokens">The teacher's vocabulary.</param>
    public async Task<TeacherCapabilities> ProbeAsync(ScoringRequest request, TokenResolver tokens, CancellationToken cancellationToken)
    {
        _client.Tokens = tokens;
        var found = await new ScoringProbe(_client, new ProbeTraffic(_client, _router, _index, Meter), _time, _random).RunAsync(
            request,
            cancellationToken
        );
        _hasAnswered = true;
        return found;
    }

    /// <summary>
    /// Says what the endpoint has to be able to do when it comes back, however it came to be away: it may be another server by then.
    /// </summary>
    /// <param name="probe">Finds out what it can do.</param>
    /// <param name="expected">Capabilities of the others.</param>
    public void Expect(Func<CancellationToken, Task<TeacherCapabilities>> probe, TeacherCapabilities expected) =>
        (_probe, _expected) = (probe, expected);

    /// <summary>Leaves out an endpoint that did not show what it can do: until it does, or, where it has refused, for this run.</summary>
    public void LeaveOutUnseen(TeacherUnavailableException failure)
    {
        if (!RetryStrategies.IsPassing(failure))
        {
            TryRemove(failure.Message);
        }
        else if (Interlocked.Exchange(ref _isWatched, 1) == 0)
        {
            _router.Change(_index, EndpointService.Unseen);
            _observer.Message($"{failure.Message}; {Endpoint} is left out until it answers");
            _ = WatchAsync();
        }
    }

    /// <summary>Sends nothing more here in this run, and says so once.</summary>
    /// <returns>False where there is no other.</returns>
    public bool TryRemove(string reason)
    {
        if (!_router.Remove(_index))
        {
            return false;
        }

        if (Interlocked.Exchange(ref _isRemoved, 1) == 0)
        {
            _observer.Message($"{reason}; {Endpoint} is left out of this run");
        }

        return true;
    }

    public void Dispose()
    {
        _disposed.Cancel();
        _disposed.Dispose();
        _http.Dispose();
    }

    async Task<PoolAnswer> AttemptAsync(PoolCall call, AnswerProgress progress, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await call.Ask(_client, progress, cancellationToken);
            _hasAnswered = true;
            if (call.IsScoring)
            {
                _guard.Scored();
            }

            return answer;
        }
        catch (TeacherRequestException e) when (call.IsScoring && e is { Scope: FailureScope.Request, IsTooLong: false })
        {
            _guard.Failed(e);
            throw;
        }
        catch (TeacherRequestException e) when (e.IsNotFound && _hasAnswered)
        {
            throw TeacherFailures.FromVanishing(Endpoint, e);
        }
    }

    void Pause(Exception? failure) => _observer.Message($"{failure?.Message}; pausing for {_options.Pause.TotalSeconds:0} s");

    void LeaveOut(Exception? failure)
    {
        if (Interlocked.Exchange(ref _isWatched, 1) == 0)
        {
            _router.Change(_index, EndpointService.Out);
            _observer.Message($"{failure?.Message}; {Endpoint} is left out until it answers again");
            _ = WatchAsync();
        }
    }

    void TakeBack()
    {
        if (Interlocked.Exchange(ref _isWatched, 0) == 1)
        {
            _router.Change(_index, EndpointService.In);
            if (Volatile.Read(ref _isRemoved) == 0)
            {
                _observer.Message($"{Endpoint} answers again");
            }
        }
    }

    /// <summary>
    /// Looks in growing intervals whether the endpoint is there again. Where all are out, a request may find that out before.
    /// </summary>
    async Task WatchAsync()
    {
        try
        {
            for (var pause = _options.Pause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
            {
                await Task.Delay(pause, _time, _disposed.Token);
                if (Volatile.Read(ref _isWatched) == 0 || Volatile.Read(ref _isRemoved) == 1)
                {
                    return;
                }

                if (await IsHealthyAsync() && await IsAsExpectedAsync())
                {
                    await _attempts.CloseAsync(_disposed.Token);
                    TakeBack();
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }

    /// <summary>Returns whether what comes back makes the same kind of traces. What does not is given nothing more.</summary>
    async Task<bool> IsAsExpectedAsync()
    {
        if (_expected is null)
        {
            return true;
        }

        try
        {
            var found = await _probe!(_disposed.Token);
            _unlike = CapabilityDifference.Between(_expected, found) is { } difference
                ? $"{Endpoint} {difference} now, unlike the others"
                : null;
        }
        catch (TeacherUnavailableException e) when (RetryStrategies.IsPassing(e))
        {
            return false;
        }
        catch (Exception e) when (e is TeacherUnavailableException or InvalidInputException)
        {
            _unlike = e.Message;
        }

        // Where it is the only one left, what is sent to it fails for this reason, and that ends the run.
        return _unlike is not { } reason || !TryRemove(reason);
    }

    async Task<bool> IsHealthyAsync()
    {
        using var timeout = new CancellationTokenSource(HealthCheckTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _disposed.Token);
        try
        {
            await _client.ListModelsAsync(either.Token);
            return true;
        }
        catch (TeacherRequestException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!_disposed.IsCancellationRequested)
        {
            return false;
        }
    }
}
