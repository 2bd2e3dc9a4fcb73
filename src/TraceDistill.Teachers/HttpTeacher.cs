using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers;

/// <summary>
/// A teacher behind an OpenAI-compatible endpoint: text generator → retry, limits and breaker → Semantic Kernel chat service → HTTP.
/// </summary>
public sealed class HttpTeacher : ITextGenerator, IDisposable
{
    readonly HttpClient _http;
    readonly TeacherClient _client;
    readonly ResilientGenerator _generator;
    readonly TimeProvider _time;
    readonly Func<double> _random;

    /// <param name="endpoint">Address, model and key.</param>
    /// <param name="options">Limits and patience.</param>
    /// <param name="time">The clock of delays and timeouts.</param>
    /// <param name="observer">Told when the teacher keeps failing.</param>
    /// <param name="random">Uniform numbers in [0, 1) for the jitter of delays; null takes the process's own.</param>
    public HttpTeacher(TeacherEndpoint endpoint, ResilienceOptions options, TimeProvider time, IRunObserver observer, Func<double>? random = null)
    {
        Endpoint = endpoint;
        _time = time;
        _random = random ?? Random.Shared.NextDouble;

        // No timeout here: the pipeline has one for each attempt, sized for long traces.
        _http = new HttpClient(TeacherHttpHandler.Create(endpoint, options.Concurrency)) { Timeout = Timeout.InfiniteTimeSpan };
        _client = new TeacherClient(_http, endpoint, time);
        var oneAttempt = new ChatCompletionGenerator(new ChatCompletionConnector(_client));
        _generator = new ResilientGenerator(oneAttempt, endpoint, new TeacherPipeline(options, time, _random, observer), options);
    }

    public TeacherEndpoint Endpoint { get; }

    /// <inheritdoc/>
    /// <exception cref="Core.Errors.TeacherUnavailableException">No request can succeed at present: gone, key refused, model not offered.</exception>
    public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
        _generator.GenerateAsync(request, cancellationToken);

    /// <summary>Finds out with one small request what the endpoint can do, before anything long or costly is asked of it.</summary>
    /// <param name="sampling">The settings that the run is going to use.</param>
    /// <param name="cancellationToken">Ends the probe.</param>
    /// <exception cref="Core.Errors.TeacherUnavailableException">The endpoint cannot serve such a run; the message says why and what to do.</exception>
    /// <exception cref="Core.Errors.InvalidInputException">The endpoint calls the settings wrong; the message has its words.</exception>
    public Task<TeacherCapabilities> ProbeAsync(SamplingSettings sampling, CancellationToken cancellationToken = default) =>
        new CapabilityProbe(_client, _time, _random).RunAsync(sampling, cancellationToken);

    public void Dispose() => _http.Dispose();
}
