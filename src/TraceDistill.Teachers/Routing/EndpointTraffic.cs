using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers.Routing;

/// <summary>Load of one endpoint, and what more it may be given. Guarded by the router's lock.</summary>
/// <param name="weight">Its share beside the others'.</param>
/// <param name="limit">Most requests in flight, as found so far.</param>
/// <param name="rates">When the next may be sent.</param>
sealed class EndpointTraffic(double weight, AdaptiveLimit limit, RateLimits rates)
{
    public AdaptiveLimit Limit => limit;

    public RateLimits Rates => rates;

    /// <summary>Requests sent and not yet answered.</summary>
    public int InFlight { get; set; }

    /// <summary>Requests sent so far.</summary>
    public long Sent { get; set; }

    /// <summary>State of service: whether requests go to it.</summary>
    public EndpointService Service { get; set; }

    public bool HasRoom => InFlight < limit.Current;

    /// <summary>Lower is better: what it has in flight for its weight, and with equals, what it was given so far.</summary>
    public (double Outstanding, double Given) Burden => (InFlight / weight, Sent / weight);
}

/// <summary>States of service: whether requests go to an endpoint.</summary>
enum EndpointService
{
    In,

    /// <summary>It keeps failing: not until it answers again.</summary>
    Out,

    /// <summary>It was not there when the endpoints were looked at: not until it has shown what it can do.</summary>
    Unseen,

    /// <summary>It refused for good: not any more in this run.</summary>
    Removed,
}
