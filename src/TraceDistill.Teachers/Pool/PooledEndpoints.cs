using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Pool;

/// <summary>The endpoints that a collection is told to use.</summary>
static class PooledEndpoints
{
    /// <param name="options">Addresses, keys and limits.</param>
    /// <param name="reasoningMarkers">Marks around the teacher's reasoning; none where they are to be found out.</param>
    /// <param name="isStreamed">True where answers come in pieces.</param>
    /// <exception cref="InvalidInputException">An address, a name or a key is missing or wrong, or an endpoint stands twice.</exception>
    public static IReadOnlyList<PooledEndpoint> Of(TeacherOptions options, IReadOnlyList<string> reasoningMarkers, bool isStreamed)
    {
        IReadOnlyList<EndpointOptions> all =
            options.Endpoints.Count > 0 ? options.Endpoints : [new EndpointOptions { Endpoint = options.Endpoint ?? "" }];
        var endpoints = all.Select(one => Of(one, options, reasoningMarkers, isStreamed)).ToList();
        var twice = endpoints.GroupBy(one => one.Endpoint.ToString()).FirstOrDefault(same => same.Count() > 1);
        return twice is null
            ? endpoints
            : throw new InvalidInputException($"endpoints: {twice.Key} is listed {twice.Count()} times; give it a larger weight instead");
    }

    static PooledEndpoint Of(EndpointOptions one, TeacherOptions options, IReadOnlyList<string> reasoningMarkers, bool isStreamed)
    {
        var hasKey = one.ApiKeyEnv is not null || one.ApiKeyFile is not null;
        var settings = new EndpointSettings
        {
            Url = one.Endpoint,
            Model = one.Model ?? options.Model ?? "",
            ApiKeyEnv = hasKey ? one.ApiKeyEnv : options.ApiKeyEnv,
            ApiKeyFile = hasKey ? one.ApiKeyFile : options.ApiKeyFile,
            Dialect = one.Dialect ?? options.Dialect,
            Tokenizer = options.Tokenizer ?? options.Serve,
            ReasoningMarkers = reasoningMarkers,
            Stream = isStreamed,
        };
        var endpoint = TeacherEndpoint.Create(settings);
        return new PooledEndpoint(endpoint)
        {
            // Its port is another one in each run.
            Name = options.Serve is null ? endpoint.ToString() : $"{endpoint.Model}, served on this machine",
            Weight = one.Weight,
            Concurrency = one.Concurrency ?? options.Concurrency,
            RequestsPerMinute = one.Rpm ?? options.Rpm,
            TokensPerMinute = one.Tpm ?? options.Tpm,
            Price = one.Price ?? options.PricePerMillion,
        };
    }
}
