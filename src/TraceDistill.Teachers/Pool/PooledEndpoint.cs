using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Options;

namespace TraceDistill.Teachers.Pool;

/// <summary>One endpoint of a pool with what it may be given.</summary>
/// <param name="Endpoint">Address, model and key.</param>
public sealed record PooledEndpoint(TeacherEndpoint Endpoint)
{
    /// <summary>Its name in the account of what was taken.</summary>
    /// <value>Its model and address.</value>
    public string Name { get; init; } = Endpoint.ToString();

    /// <summary>Weight of the endpoint: its share of the requests relative to the others.</summary>
    /// <value>1.</value>
    public double Weight { get; init; } = 1;

    /// <summary>Most requests in flight there.</summary>
    /// <value>Null: <see cref="Resilience.ResilienceOptions.Concurrency"/>.</value>
    public int? Concurrency { get; init; }

    /// <summary>Most requests a minute.</summary>
    /// <value>Null: as many as it takes.</value>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Most tokens a minute, of prompts and answers.</summary>
    /// <value>Null: as many as it takes.</value>
    public int? TokensPerMinute { get; init; }

    /// <summary>Price of its tokens.</summary>
    /// <value>Null: nothing is said about cost.</value>
    public TokenPrice? Price { get; init; }

    /// <summary>The handler that sends requests; it ends with the pool, and its user sees to connections and redirects.</summary>
    /// <value>Null: one of the pool's own, which keeps connections alive through long answers and follows no redirect.</value>
    public HttpMessageHandler? Handler { get; init; }
}
