using Polly.CircuitBreaker;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Telemetry;

namespace TraceDistill.Teachers.Routing;

/// <summary>The way to one endpoint of a pool: breaker, timeout, connector, connections; counted and measured.</summary>
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
    readonly ChatCompletionGenerator _generator;
    readonly AttemptPipeline _attempts;
    readonly CancellationTokenSource _disposed = new();
    int _isWatched;
    int _isRemoved;

    /// <param name="pooled">Where it leads.</param>
    /// <param name="index">Its number at the router.</param>
    /// <param name="isOneOfMany">Whether there are other lanes.</param>
    public TeacherLane(
        PooledEndpoint pooled, int index, bool isOneOfMany, EndpointRouter router, ResilienceOptions options, TimeProvider time, IRunObserver observer,
        Func<double> random, TeacherInstruments instruments)
    {
        (_index, _router, _options, _time, _observer, _random, _instruments) = (index, router, options, time, observer, random, instruments);
        Endpoint = pooled.Endpoint;
        Meter = new EndpointMeter(pooled.Name, pooled.Price);

        var handler = TeacherHttpHandler.Create(pooled.Concurrency ?? options.Concurrency);
        _http = TeacherHttpHandler.CreateClient(new RateLimitHandler(handler, time, wait => router.Pause(index, wait)));
        _client = new TeacherClient(_http, Endpoint, time, observer);
        _generator = new ChatCompletionGenerator(new ChatCompletionConnector(_client));
        _attempts = new AttemptPipeline(options, time, isOneOfMany, isOneOfMany ? LeaveOut : Pause, isOneOfMany ? TakeBack : () => { });
    }

    public TeacherEndpoint Endpoint { get; }

    public EndpointMeter Meter { get; }

    /// <summary>Makes one attempt.</summary>
    /// <param name="received">Told as soon as the whole answer is there, before it is made sense of.</param>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, int promptTokens, TimeSpan timeout, Action received, CancellationToken cancellationToken)
    {
        using var activity = TeacherInstruments.Start(Endpoint, request.Sampling);
        var start = _time.GetTimestamp();
        try
        {
            var result = await _attempts.ExecuteAsync(token => _generator.GenerateAsync(request, received, token), timeout, cancellationToken);
            var latency = _time.GetElapsedTime(start);
            Meter.Answered(latency, result.PromptTokens, result.CompletionTokens);
            _instruments.Answered(activity, Endpoint, result, latency);
            return result;
        }
        catch (Exception e) when (e is not (OperationCanceledException or BrokenCircuitException))
        {
            Meter.Failed(e, promptTokens, request.Sampling.MaxTokens);
            _instruments.Failed(activity, Endpoint, e, _time.GetElapsedTime(start));
            throw;
        }
    }

    /// <inheritdoc cref="CapabilityProbe.RunAsync"/>
    public Task<TeacherCapabilities> ProbeAsync(SamplingSettings sampling, TeacherCapabilities? known, CancellationToken cancellationToken) =>
        new CapabilityProbe(_client, new ProbeTraffic(_client, _router, _index, Meter), _time, _random).RunAsync(sampling, known, cancellationToken);

    /// <summary>Says, once, that nothing more is sent here in this run.</summary>
    public void TellRemoved(Exception failure)
    {
        if (Interlocked.Exchange(ref _isRemoved, 1) == 0)
        {
            _observer.Message($"{failure.Message}; {Endpoint} is left out of this run");
        }
    }

    public void Dispose()
    {
        _disposed.Cancel();
        _disposed.Dispose();
        _http.Dispose();
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

    /// <summary>Looks in growing intervals whether the endpoint is there again. Where all are out, a request may find that out before.</summary>
    async Task WatchAsync()
    {
        try
        {
            for (var pause = _options.Pause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
            {
                await Task.Delay(pause, _time, _disposed.Token);
                if (Volatile.Read(ref _isWatched) == 0)
                {
                    return;
                }

                if (await IsHealthyAsync())
                {
                    await _attempts.CloseAsync(_disposed.Token);
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
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
