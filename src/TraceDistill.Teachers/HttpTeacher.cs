using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Probe;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;

namespace TraceDistill.Teachers;

/// <summary>A teacher behind a single OpenAI-compatible endpoint: a <see cref="TeacherPool"/> of one.</summary>
public sealed class HttpTeacher : ITextGenerator, IDisposable
{
    readonly TeacherPool _pool;

    /// <param name="endpoint">Address, model and key.</param>
    /// <param name="options">Limits and patience.</param>
    /// <param name="time">The clock of delays and timeouts.</param>
    /// <param name="observer">Told when the teacher keeps failing.</param>
    /// <param name="random">Uniform numbers in [0, 1) for the jitter of delays; null takes the process's own.</param>
    public HttpTeacher(TeacherEndpoint endpoint, ResilienceOptions options, TimeProvider time, IRunObserver observer, Func<double>? random = null) =>
        _pool = new TeacherPool([new PooledEndpoint(endpoint)], options, time, observer, random);

    public TeacherEndpoint Endpoint => _pool.Endpoints[0];

    /// <inheritdoc/>
    /// <exception cref="Core.Errors.TeacherUnavailableException">No request can succeed at present: gone, key refused, model not offered.</exception>
    public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
        _pool.GenerateAsync(request, cancellationToken);

    /// <inheritdoc cref="TeacherPool.ProbeAsync"/>
    public Task<TeacherCapabilities> ProbeAsync(SamplingSettings sampling, CancellationToken cancellationToken = default) => _pool.ProbeAsync(sampling, cancellationToken);

    public void Dispose() => _pool.Dispose();
}
