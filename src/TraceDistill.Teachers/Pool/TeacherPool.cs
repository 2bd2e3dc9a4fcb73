using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Polly;
using Polly.CircuitBreaker;
using Polly.Hedging;
using Polly.Timeout;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Pool;

/// <summary>
/// One teacher behind one or several endpoints: retry → hedge → an endpoint with room, by
/// least outstanding → its breaker and timeout → HTTP.
/// </summary>
public sealed class TeacherPool : ITextGenerator, ITokenScorer, IDisposable
{
    readonly TeacherLane[] _lanes;
    readonly EndpointRouter _router;
    readonly ResilienceOptions _options;
    readonly TeacherInstruments _instruments = new();
    readonly ResiliencePipeline _retries;
    readonly ResiliencePipeline<PoolAnswer> _hedging = ResiliencePipeline<PoolAnswer>.Empty;
    bool _isDisposed;

    /// <param name="endpoints">One at least; all serve the same model.</param>
    /// <param name="options">Limits and patience.</param>
    /// <param name="time">The clock of delays and timeouts.</param>
    /// <param name="observer">Takes messages on endpoints that keep failing and on long waits.</param>
    /// <param name="random">Uniform numbers in [0, 1) for the jitter of delays; null takes the process's own.</param>
    /// <param name="stop">From then on nothing more is sent; what is in flight goes on.</param>
    public TeacherPool(
        IReadOnlyList<PooledEndpoint> endpoints,
        ResilienceOptions options,
        TimeProvider time,
        IRunObserver observer,
        Func<double>? random = null,
        CancellationToken stop = default
    )
    {
        _options = options;
        var jitter = random ?? Random.Shared.NextDouble;
        Capacity = endpoints.Sum(endpoint => endpoint.Concurrency ?? options.Concurrency);
        _router = new EndpointRouter(
            endpoints.Select(endpoint => new EndpointTraffic(
                endpoint.Weight,
                new AdaptiveLimit(endpoint.Concurrency ?? options.Concurrency),
                new RateLimits(endpoint.RequestsPerMinute, endpoint.TokensPerMinute)
            )),
            time,
            stop
        );
        _lanes =
        [
            .. endpoints.Select(
                (endpoint, i) => new TeacherLane(endpoint, i, endpoints.Count > 1, _router, options, time, observer, jitter, _instruments)
            ),
        ];
        _instruments.Observe(() => _lanes.Select((lane, i) => (lane.Measured, _router.Load(i).InFlight, _router.Load(i).Limit)));

        _retries = new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetries(
                options,
                jitter,
                new WaitNotice(time, observer),
                elsewhere: context => CallOf(context).GoesElsewhere,
                isFinal: context => CallOf(context).HasTold,
                stop
            )
            .Build();
        if (options.HedgeAfter is { } delay)
        {
            _hedging = new ResiliencePipelineBuilder<PoolAnswer> { TimeProvider = time }
                .AddHedging(Hedging(delay))
                .Build();
        }
    }

    /// <summary>A teacher behind a single endpoint.</summary>
    /// <inheritdoc
    /// cref="TeacherPool(IReadOnlyList{PooledEndpoint}, ResilienceOptions, TimeProvider, IRunObserver, Func{double}?, CancellationToken)"/>
    public TeacherPool(
        TeacherEndpoint endpoint,
        ResilienceOptions options,
        TimeProvider time,
        IRunObserver observer,
        Func<double>? random = null
    )
        : this([new PooledEndpoint(endpoint)], options, time, observer, random) { }

    /// <summary>Most requests in flight at all endpoints together.</summary>
    public int Capacity { get; }

    /// <summary>Lets each attempt through, or not any more.</summary>
    /// <value>All of them.</value>
    internal CollectionBudget Budget { get; set; } = CollectionBudget.Unlimited;

    internal IReadOnlyList<EndpointMeter> Meters => [.. _lanes.Select(lane => lane.Meter)];

    /// <summary>Names model and address, of several endpoints the first's.</summary>
    public override string ToString() =>
        _lanes.Length == 1 ? $"{_lanes[0].Endpoint}" : $"{_lanes[0].Endpoint} and {_lanes.Length - 1} more";

    /// <summary>The first endpoint, whose model all of them serve.</summary>
    internal TeacherEndpoint First => _lanes[0].Endpoint;

    /// <inheritdoc/>
    /// <exception cref="TeacherUnavailableException">No request can succeed at present: gone, key refused, model not offered.</exception>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
        (await AskAsync(PoolCall.Of(request, _options.TimeoutFor(request.Sampling.MaxTokens)), cancellationToken)).Generation!;

    /// <inheritdoc/>
    public async Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default) =>
        (await AskAsync(PoolCall.Of(request, _options.TimeoutFor(request.Tokens.Length)), cancellationToken)).Scores!;

    /// <summary>
    /// Generates one assistant turn and returns its text as it comes, then the whole. Who stops reading ends the request.
    /// </summary>
    /// <remarks>
    /// An attempt that fails is followed by others only while it has brought no text. No second copy is sent of what takes long.
    /// </remarks>
    /// <inheritdoc cref="GenerateAsync(GenerationRequest, CancellationToken)" path="/exception"/>
    public async IAsyncEnumerable<GenerationPiece> StreamAsync(
        GenerationRequest request,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        var pieces = Channel.CreateUnbounded<StreamedText>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        using var left = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var call = PoolCall.Of(request, _options.TimeoutFor(request.Sampling.MaxTokens), text => pieces.Writer.TryWrite(text));
        var generating = GenerateAsync(left.Token);
        try
        {
            await foreach (var text in pieces.Reader.ReadAllAsync(cancellationToken))
            {
                yield return new GenerationPiece(text.Reasoning, text.Content, Whole: null);
            }

            var whole = await generating;
            await Task.Yield(); // Answers are parsed on threads that a caller's code may not block.
            yield return new GenerationPiece(Reasoning: null, Answer: null, whole);
        }
        finally
        {
            await left.CancelAsync();
            await ((Task)generating).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        async Task<GenerationResult> GenerateAsync(CancellationToken token)
        {
            try
            {
                return (await AskAsync(call, token)).Generation!;
            }
            finally
            {
                pieces.Writer.Complete();
            }
        }
    }

    async Task<PoolAnswer> AskAsync(PoolCall call, CancellationToken cancellationToken)
    {
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(PoolCall.Key, call);
        try
        {
            var result = await _retries.ExecuteAsync(static async (context, pool) => await pool.TryAsync(context), context, this);
            foreach (var lane in call.Under())
            {
                lane.Meter.Hedged(result.PromptTokens, result.CompletionTokens);
            }

            return result;
        }
        catch (Exception e) when (Describe(e, call) is { } told)
        {
            throw told;
        }
        catch (OperationCanceledException)
        {
            foreach (var lane in call.Under())
            {
                lane.Meter.Abandoned(call.PromptTokens, call.Sampling.MaxTokens);
            }

            throw;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    /// <summary>
    /// Finds out with small requests what the endpoints can do, before anything long or costly is asked of them. One of several that
    /// refuses is left out of this run, one that does not answer until it does and shows the same as the others; the observer is notified.
    /// </summary>
    /// <param name="sampling">The settings that the run is going to use.</param>
    /// <param name="known">
    /// Capabilities that an earlier run with these settings found, which are confirmed with a request or two; null where nothing is known.
    /// </param>
    /// <param name="cancellationToken">Ends the probe.</param>
    /// <returns>Capabilities that all of them have.</returns>
    /// <exception cref="TeacherUnavailableException">None can serve such a run; the message says why and what to do.</exception>
    /// <exception cref="InvalidInputException">
    /// Two of them differ in what they tell about tokens, and would make two kinds of traces.
    /// </exception>
    public Task<TeacherCapabilities> ProbeAsync(
        SamplingSettings sampling,
        TeacherCapabilities? known,
        CancellationToken cancellationToken = default
    ) => ProbeAsync((lane, token) => lane.ProbeAsync(sampling, known, token), cancellationToken);

    /// <summary>Finds out, with a text or a few, in which way each endpoint scores text, and holds what comes back against it.</summary>
    /// <param name="request">A short text, with as many alternatives as the run asks for.</param>
    /// <param name="tokenizer">The teacher's; null where it is not known, and then servers that name tokens by text are of no use.</param>
    /// <param name="cancellationToken">Ends the probe.</param>
    /// <inheritdoc cref="ProbeAsync(SamplingSettings, TeacherCapabilities?, CancellationToken)" path="/returns"/>
    /// <inheritdoc cref="ProbeAsync(SamplingSettings, TeacherCapabilities?, CancellationToken)" path="/exception"/>
    public Task<TeacherCapabilities> ProbeAsync(ScoringRequest request, Tokenizer? tokenizer, CancellationToken cancellationToken = default)
    {
        var tokens = new TokenResolver(tokenizer);
        return ProbeAsync((lane, token) => lane.ProbeAsync(request, tokens, token), cancellationToken);
    }

    async Task<TeacherCapabilities> ProbeAsync(
        Func<TeacherLane, CancellationToken, Task<TeacherCapabilities>> probe,
        CancellationToken cancellationToken
    )
    {
        (TeacherEndpoint Endpoint, TeacherCapabilities Capabilities)? first = null;
        var failures = new List<(TeacherLane Lane, TeacherUnavailableException Failure)>();
        var probes = _lanes.Select(lane => probe(lane, cancellationToken)).ToArray();
        await Task.WhenAll(probes)
            .ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        foreach (var (lane, probing) in _lanes.Zip(probes))
        {
            try
            {
                var found = await probing;
                if (first is { } other && CapabilityDifference.Between(other.Capabilities, found) is { } difference)
                {
                    throw new InvalidInputException(
                        $"endpoints: {lane.Endpoint} {difference}, unlike {other.Endpoint}; "
                            + "one data set wants one kind of traces, so leave one of them out"
                    );
                }

                first ??= (lane.Endpoint, found);
            }
            catch (TeacherUnavailableException e)
            {
                failures.Add((lane, e));
            }
        }

        if (first is null)
        {
            ExceptionDispatchInfo.Throw(failures[^1].Failure);
        }

        foreach (var lane in _lanes)
        {
            lane.Expect(token => probe(lane, token), first!.Value.Capabilities);
        }

        foreach (var (lane, failure) in failures)
        {
            lane.LeaveOutUnseen(failure);
        }

        return first!.Value.Capabilities;
    }

    /// <inheritdoc cref="ProbeAsync(SamplingSettings, TeacherCapabilities?, CancellationToken)"/>
    public Task<TeacherCapabilities> ProbeAsync(SamplingSettings sampling, CancellationToken cancellationToken = default) =>
        ProbeAsync(sampling, known: null, cancellationToken);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        foreach (var lane in _lanes)
        {
            lane.Dispose();
        }

        _router.Dispose();
        _instruments.Dispose();
    }

    static PoolCall CallOf(ResilienceContext context) => context.Properties.GetValue(PoolCall.Key, null!);

    /// <summary>One attempt, with a second copy where that is wanted and the first takes long from when it was sent on.</summary>
    async ValueTask<PoolAnswer> TryAsync(ResilienceContext context)
    {
        var call = CallOf(context);
        call.IsHedged = false;
        var seat = await EnterAsync(call, isCopy: false, context.CancellationToken);
        return await (call.Told is null ? _hedging : ResiliencePipeline<PoolAnswer>.Empty).ExecuteAsync(
            static async (context, state) => await state.Pool.SendAsync(CallOf(context), state.Seat, context.CancellationToken),
            context,
            (Pool: this, Seat: seat)
        );
    }

    /// <summary>Waits until the budget and an endpoint have room.</summary>
    async Task<Seat> EnterAsync(PoolCall call, bool isCopy, CancellationToken cancellationToken)
    {
        var reservation = await Budget.ReserveAsync(call.PromptTokens, call.Sampling.MaxTokens, isCopy, cancellationToken);
        try
        {
            return new Seat(
                reservation,
                await _router.EnterAsync(call.PromptTokens, call.Sampling.MaxTokens, call.LastEndpoint, cancellationToken)
            );
        }
        catch
        {
            Budget.Release(reservation);
            throw;
        }
    }

    async Task<PoolAnswer> SendAsync(PoolCall call, Seat seat, CancellationToken cancellationToken)
    {
        var place = seat.Place;
        var lane = _lanes[place.Endpoint];
        call.LastEndpoint = place.Endpoint;
        call.Begin(lane);
        try
        {
            var answer = await lane.AskAsync(call, () => _router.Received(place), cancellationToken);
            _router.Answered(place, answer.PromptTokens, answer.CompletionTokens, answer.Work);
            call.End(lane);
            return answer;
        }
        catch (OperationCanceledException)
        {
            _router.Abandoned(place);
            throw;
        }
        catch (Exception e)
        {
            Settle(place, e);
            call.End(lane);
            call.GoesElsewhere = IsDetour(call, place.Endpoint, e);
            throw;
        }
        finally
        {
            Budget.Release(seat.Reservation);
        }
    }

    async ValueTask<Outcome<PoolAnswer>> SendCopyAsync(ResilienceContext context)
    {
        try
        {
            var call = CallOf(context);
            return Outcome.FromResult(
                await SendAsync(call, await EnterAsync(call, isCopy: true, context.CancellationToken), context.CancellationToken)
            );
        }
        catch (Exception e)
        {
            return Outcome.FromException<PoolAnswer>(e);
        }
    }

    void Settle(Place place, Exception failure)
    {
        switch (failure)
        {
            case BrokenCircuitException:
                _router.NotSent(place);
                break;
            case TimeoutRejectedException:
                _router.TimedOut(place);
                break;
            default:
                _router.Failed(place, RetryStrategies.IsOverload(failure), (failure as TeacherRequestException)?.RetryAfter);
                break;
        }
    }

    /// <summary>
    /// Returns whether the next attempt need not wait because another endpoint can be asked. Each is tried at once but once.
    /// </summary>
    bool IsDetour(PoolCall call, int endpoint, Exception failure)
    {
        if (failure is TeacherRequestException { Scope: FailureScope.Teacher })
        {
            return _lanes[endpoint].TryRemove(failure.Message);
        }

        // A text that one endpoint cannot score is whole at another; a prompt that is refused is refused by the model.
        if (failure is TeacherRequestException { Scope: FailureScope.Request } && !call.IsScoring)
        {
            return false;
        }

        return _router.HasOther(endpoint) && ++call.Detours < _lanes.Length;
    }

    /// <summary>A second copy goes out where the first takes long. A copy that fails then does not end the other.</summary>
    HedgingStrategyOptions<PoolAnswer> Hedging(TimeSpan delay) =>
        new()
        {
            MaxHedgedAttempts = 1,
            Delay = delay,
            ActionGenerator = args => () => SendCopyAsync(args.ActionContext),
            ShouldHandle = args =>
                ValueTask.FromResult(
                    CallOf(args.Context).IsHedged
                        && args.Outcome.Exception
                            is TeacherRequestException
                                or TimeoutRejectedException
                                or BrokenCircuitException
                                or NotSentException
                ),
            OnHedging = args =>
            {
                CallOf(args.PrimaryContext).IsHedged = true;
                return ValueTask.CompletedTask;
            },
        };

    /// <summary>Reservation and place that a request needs to be sent.</summary>
    readonly record struct Seat(Reservation Reservation, Place Place);

    /// <summary>Turns what remains of failure into the program's own exceptions.</summary>
    Exception? Describe(Exception failure, PoolCall call)
    {
        var endpoint = _lanes[Math.Max(0, call.LastEndpoint)].Endpoint;
        switch (failure)
        {
            case TeacherRequestException { Scope: FailureScope.Teacher } e:
                return new TeacherUnavailableException(e.Message, e);
            case TeacherRequestException { IsTooLong: true } e when call.IsScoring:
                return new UnscorableTextException(UnscorableTextException.TooLong, $"{call.Name}: {e.Message}", e);
            case TeacherRequestException { IsTooLong: true } e:
                return new PromptTooLongException($"{call.Name}: {e.Message}", e);
            case TeacherRequestException { Scope: FailureScope.Request } e:
                return new InvalidInputException($"{call.Name}: {e.Message}", e);
            case TeacherRequestException e:
                var told = call.HasTold
                    ? $"{e.Message} (part of the answer had come, so it was not asked for again)"
                    : $"{e.Message} (tried {(e.Overloaded ? _options.MaxOverloadRetries : _options.MaxRetries) + 1} times)";
                return e.NoConnection ? new TeacherUnavailableException(told, e) : new ExternalFailureException($"{call.Name}: {told}", e);
            case TimeoutRejectedException e:
                return new ExternalFailureException(
                    $"{call.Name}: no whole answer from {endpoint} within {call.Timeout.TotalSeconds:0} s; "
                        + $"lower {(call.IsScoring ? "" : "--max-tokens or ")}--concurrency, or raise --attempt-timeout",
                    e
                );
            case BrokenCircuitException e:
                return new TeacherUnavailableException(
                    $"{e.InnerException?.Message ?? $"{endpoint} keeps failing"}; gave up after {_options.MaxRetries + 1} attempts",
                    e
                );
            default:
                return null;
        }
    }
}
