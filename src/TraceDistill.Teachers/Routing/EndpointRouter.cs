using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers.Routing;

/// <summary>A request's place at an endpoint. It is the router's to change.</summary>
/// <param name="endpoint">Its number in the pool.</param>
/// <param name="sent">When it was given, on the router's clock.</param>
/// <param name="tokens">Tokens that it is taken to cost until its answer tells.</param>
sealed class Place(int endpoint, TimeSpan sent, double tokens)
{
    public int Endpoint => endpoint;

    public TimeSpan Sent => sent;

    public double Tokens => tokens;

    /// <summary>When another could have it; null until then.</summary>
    public TimeSpan? Left { get; set; }

    /// <summary>Requests in flight at that moment, this one included.</summary>
    public int InFlight { get; set; }
}

/// <summary>
/// Gives each request the endpoint with the least outstanding for its weight, among those in
/// service whose limits leave room; where none does, requests wait in the order in which they came.
/// </summary>
/// <remarks>An endpoint that keeps failing is given requests only where all do: then its breaker says how long to wait.</remarks>
sealed class EndpointRouter : IDisposable
{
    static readonly TimeSpan LongestTimer = TimeSpan.FromDays(1);

    readonly EndpointTraffic[] _endpoints;
    readonly TimeProvider _time;
    readonly long _origin;
    readonly Lock _lock = new();
    readonly LinkedList<Waiter> _waiting = new();
    readonly ITimer _wake;
    readonly CancellationToken _stop;

    /// <param name="endpoints">One at least.</param>
    /// <param name="time">The clock of rate limits.</param>
    /// <param name="stop">From then on nothing more is sent.</param>
    public EndpointRouter(IEnumerable<EndpointTraffic> endpoints, TimeProvider time, CancellationToken stop = default)
    {
        _stop = stop;
        _endpoints = [.. endpoints];
        _time = time;
        _origin = time.GetTimestamp();
        _wake = time.CreateTimer(_ => Dispatch(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The router's clock.</summary>
    public TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>Waits for a place. Each place is given back by one of the methods below.</summary>
    /// <param name="promptTokens">About the tokens of the request's prompt.</param>
    /// <param name="maxTokens">Most tokens of its answer.</param>
    /// <param name="avoid">An endpoint to pass over where others are in service; −1 for none.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="only">The one endpoint that will do, in service or not; −1 for any.</param>
    /// <exception cref="NotSentException">The run is stopping.</exception>
    public async ValueTask<Place> EnterAsync(int promptTokens, int maxTokens, int avoid, CancellationToken cancellationToken, int only = -1)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_stop.IsCancellationRequested)
        {
            throw new NotSentException();
        }

        var waiter = new Waiter(promptTokens, maxTokens, avoid, only);
        lock (_lock)
        {
            // With others waiting, most likely for the same, it would be unfair to be quicker.
            if (_waiting.Count == 0 && TryGive(waiter, Now, out _) is { } place)
            {
                return place;
            }

            _waiting.AddLast(waiter);
        }

        Dispatch();
        await using var registration = cancellationToken.UnsafeRegister(
            static (state, token) => ((Waiter)state!).Given.TrySetCanceled(token),
            waiter
        );
        await using var stopping = _stop.UnsafeRegister(
            static state => ((Waiter)state!).Given.TrySetException(new NotSentException()),
            waiter
        );
        return await waiter.Given.Task;
    }

    /// <summary>The last byte of the answer is there: the server can have the next request while this answer is parsed.</summary>
    public void Received(Place place) => Leave(place, (_, _) => { });

    /// <summary>The request was answered.</summary>
    public void Answered(Place place, int promptTokens, int completionTokens) =>
        Answered(place, promptTokens, completionTokens, completionTokens);

    /// <inheritdoc cref="Answered(Place, int, int)"/>
    /// <param name="work">Tokens that measure how much the server did.</param>
    public void Answered(Place place, int promptTokens, int completionTokens, int work) => Leave(place, (endpoint, now) =>
        {
            endpoint.Limit.Answered(place.Sent, place.Left ?? now, work, place.InFlight);
            endpoint.Rates.Settle(place.Tokens, promptTokens, completionTokens, now);
        });

    /// <summary>The request was refused or failed.</summary>
    /// <param name="isOverload">True where the endpoint has too much to do.</param>
    /// <param name="retryAfter">How long it wants to be left alone.</param>
    public void Failed(Place place, bool isOverload, TimeSpan? retryAfter) => Leave(place, (endpoint, now) =>
        {
            endpoint.Rates.Refund(place.Tokens, now);
            if (isOverload)
            {
                endpoint.Limit.Overloaded(place.Sent, now);
            }

            if (retryAfter is { } wait)
            {
                endpoint.Rates.PauseUntil(now + wait);
            }
        });

    /// <summary>The request was not answered in time.</summary>
    public void TimedOut(Place place) => Leave(place, (endpoint, now) =>
        {
            endpoint.Rates.Refund(place.Tokens, now);
            endpoint.Limit.TimedOut(place.Sent, now);
        });

    /// <summary>The endpoint's breaker let nothing through. It still counts as given, or the next would be given the same place.</summary>
    public void NotSent(Place place) => Leave(place, (endpoint, now) => endpoint.Rates.TakeBack(place.Tokens, now));

    /// <summary>Nobody waits for the answer any more.</summary>
    public void Abandoned(Place place) => Leave(place, (_, _) => { });

    /// <summary>The endpoint has nothing left for some time.</summary>
    public void Pause(int endpoint, TimeSpan wait)
    {
        lock (_lock)
        {
            _endpoints[endpoint].Rates.PauseUntil(Now + wait);
        }
    }

    /// <summary>Takes an endpoint out of service, or puts it back; one that was removed stays so.</summary>
    public void Change(int endpoint, EndpointService service)
    {
        lock (_lock)
        {
            if (_endpoints[endpoint].Service != EndpointService.Removed)
            {
                _endpoints[endpoint].Service = service;
            }
        }

        Dispatch();
    }

    /// <summary>Gives an endpoint nothing any more.</summary>
    /// <returns>False where it is the last that might be given anything.</returns>
    public bool Remove(int endpoint)
    {
        lock (_lock)
        {
            if (!_endpoints.Where((other, i) => i != endpoint && other.Service is EndpointService.In or EndpointService.Out).Any())
            {
                return false;
            }

            // Decided and done in one: of two that are refused at the same moment, one stays, or requests would wait for ever.
            _endpoints[endpoint].Service = EndpointService.Removed;
        }

        Dispatch();
        return true;
    }

    /// <summary>Returns whether another endpoint is in service.</summary>
    public bool HasOther(int endpoint)
    {
        lock (_lock)
        {
            return IsOtherIn(endpoint);
        }
    }

    /// <summary>Requests in flight, and how many there may be.</summary>
    public (int InFlight, int Limit) Load(int endpoint)
    {
        lock (_lock)
        {
            return (_endpoints[endpoint].InFlight, _endpoints[endpoint].Limit.Current);
        }
    }

    public void Dispose() => _wake.Dispose();

    void Leave(Place place, Action<EndpointTraffic, TimeSpan> settle)
    {
        lock (_lock)
        {
            var endpoint = _endpoints[place.Endpoint];
            if (place.Left is null)
            {
                (place.Left, place.InFlight) = (Now, endpoint.InFlight);
                endpoint.InFlight--;
            }

            settle(endpoint, Now);
        }

        Dispatch();
    }

    /// <summary>Gives places to those who wait, as far as there are any, and sees to it that the next is given in time.</summary>
    void Dispatch()
    {
        lock (_lock)
        {
            var now = Now;
            var soonest = TimeSpan.MaxValue;
            for (var node = _waiting.First; node is not null; )
            {
                var (next, waiter) = (node.Next, node.Value);
                if (waiter.Given.Task.IsCompleted)
                {
                    _waiting.Remove(node);
                }
                else if (TryGive(waiter, now, out var wait) is { } place)
                {
                    _waiting.Remove(node);
                    if (!waiter.Given.TrySetResult(place))
                    {
                        TakeBack(place, now);
                    }
                }
                else
                {
                    soonest = wait < soonest ? wait : soonest;
                    if (!waiter.IsChoosy)
                    {
                        // Who has no wish about the endpoint speaks for all behind.
                        break;
                    }
                }

                node = next;
            }

            if (soonest < TimeSpan.MaxValue)
            {
                // Rounded up to what a timer can tell apart, or the wait would end a moment too
                // early; one that is longer than a timer bears is looked at again.
                _wake.Change(
                    TimeSpan.FromMilliseconds(Math.Ceiling(Math.Min(soonest.TotalMilliseconds, LongestTimer.TotalMilliseconds))),
                    Timeout.InfiniteTimeSpan
                );
            }
        }
    }

    void TakeBack(Place place, TimeSpan now)
    {
        var endpoint = _endpoints[place.Endpoint];
        endpoint.InFlight--;
        endpoint.Sent--;
        endpoint.Rates.TakeBack(place.Tokens, now);
    }

    /// <param name="wait">Where there is no place: how long until a rate limit leaves one; forever where only an answer can.</param>
    Place? TryGive(Waiter waiter, TimeSpan now, out TimeSpan wait)
    {
        wait = TimeSpan.MaxValue;
        var best = -1;
        var isAnyIn = IsOtherIn(-1);
        var passOver = IsOtherIn(waiter.Avoid) ? waiter.Avoid : -1;
        for (var i = 0; i < _endpoints.Length; i++)
        {
            var endpoint = _endpoints[i];
            if (i == passOver || !(waiter.Only >= 0 ? waiter.Only == i : IsGiven(endpoint, isAnyIn)) || !endpoint.HasRoom)
            {
                continue;
            }

            var until = endpoint.Rates.WaitFor(endpoint.Rates.Estimate(waiter.PromptTokens, waiter.MaxTokens), now);
            if (until > TimeSpan.Zero)
            {
                wait = until < wait ? until : wait;
            }
            else if (best < 0 || endpoint.Burden.CompareTo(_endpoints[best].Burden) < 0)
            {
                best = i;
            }
        }

        if (best < 0)
        {
            return null;
        }

        var chosen = _endpoints[best];
        var tokens = chosen.Rates.Estimate(waiter.PromptTokens, waiter.MaxTokens);
        chosen.Rates.Send(tokens, now);
        chosen.InFlight++;
        chosen.Sent++;
        return new Place(best, now, tokens);
    }

    static bool IsGiven(EndpointTraffic endpoint, bool isAnyIn) =>
        endpoint.Service == EndpointService.In || (endpoint.Service == EndpointService.Out && !isAnyIn);

    bool IsOtherIn(int endpoint)
    {
        for (var i = 0; i < _endpoints.Length; i++)
        {
            if (i != endpoint && _endpoints[i].Service == EndpointService.In)
            {
                return true;
            }
        }

        return false;
    }

    sealed class Waiter(int promptTokens, int maxTokens, int avoid, int only)
    {
        public int PromptTokens => promptTokens;

        public int MaxTokens => maxTokens;

        public int Avoid => avoid;

        public int Only => only;

        public bool IsChoosy => avoid >= 0 || only >= 0;

        public TaskCompletionSource<Place> Given { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
