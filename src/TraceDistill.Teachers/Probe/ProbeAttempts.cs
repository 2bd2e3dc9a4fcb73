using Polly.CircuitBreaker;
using Polly.Timeout;
using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Probe;

/// <summary>Makes the attempts of a probe of one endpoint, each a few times where that may help.</summary>
sealed class ProbeAttempts(TeacherEndpoint endpoint, TimeProvider time, Func<double> random)
{
    const int ModelsNamed = 10;

    static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    // Someone waits for the answer: a few seconds of patience, not minutes.
    static readonly ResilienceOptions Patience = new()
    {
        Concurrency = 1,
        MaxRetries = 2,
        MaxOverloadRetries = 5,
        AttemptTimeout = Longest,
    };

    readonly TeacherPipeline _pipeline = new(Patience, time, random, SilentObserver.Instance);

    /// <summary>Makes an attempt; its failure is the caller's to understand.</summary>
    public Task<T> MakeAsync<T>(Func<CancellationToken, Task<T>> attempt, CancellationToken cancellationToken) =>
        _pipeline.ExecuteAsync(attempt, Longest, cancellationToken);

    /// <summary>Makes an attempt that the run cannot go without.</summary>
    /// <param name="attempt">The attempt.</param>
    /// <param name="models">The models that the endpoint lists; null where it lists none.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="TeacherUnavailableException">The endpoint cannot do it.</exception>
    /// <exception cref="InvalidInputException">It calls the request wrong.</exception>
    public async Task<T> NeedAsync<T>(
        Func<CancellationToken, Task<T>> attempt,
        IReadOnlyList<string>? models,
        CancellationToken cancellationToken
    )
    {
        try
        {
            return await MakeAsync(attempt, cancellationToken);
        }
        catch (TeacherRequestException e) when (e.Status is 400 or 404 or 422 && Missing(models) is { } missing)
        {
            throw new TeacherUnavailableException(missing, e);
        }
        catch (TeacherRequestException e) when (e is { Scope: FailureScope.Request, Status: not null })
        {
            throw new InvalidInputException($"{e.Message}; change the setting that it objects to", e);
        }
        catch (TeacherRequestException e)
        {
            throw new TeacherUnavailableException(e.Message, e);
        }
        catch (TimeoutRejectedException e)
        {
            throw new TeacherUnavailableException(
                $"{endpoint} did not answer a small request within {Longest.TotalSeconds:0} s; check what the server is doing",
                e
            );
        }
        catch (BrokenCircuitException e)
        {
            throw new TeacherUnavailableException(e.InnerException?.Message ?? $"{endpoint} keeps failing", e);
        }
    }

    /// <summary>Makes an attempt at what is good to know: where the endpoint does not answer, nothing.</summary>
    public async Task<T?> TryAsync<T>(Func<CancellationToken, Task<T>> attempt, CancellationToken cancellationToken)
    {
        try
        {
            return await MakeAsync(attempt, cancellationToken);
        }
        catch (Exception e) when (IsOutcome(e))
        {
            return default;
        }
    }

    /// <summary>Returns whether an attempt failed for a reason of the endpoint's.</summary>
    public static bool IsOutcome(Exception e) => e is TeacherRequestException or TimeoutRejectedException or BrokenCircuitException;

    /// <summary>
    /// Says that the model is not among those listed, where that is so. Not an error by itself:
    /// some servers list one name and answer to any.
    /// </summary>
    public string? Missing(IReadOnlyList<string>? models) =>
        models is null || models.Contains(endpoint.Model)
            ? null
            : $"{endpoint} does not exist; this endpoint offers "
                + $"{(models.Count == 0 ? "no model" : string.Join(", ", models.Take(ModelsNamed)))}"
                + $"{(models.Count > ModelsNamed ? $" and {models.Count - ModelsNamed} more" : "")}: name one with --model";
}
