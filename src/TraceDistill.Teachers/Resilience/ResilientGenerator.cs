using Polly.CircuitBreaker;
using Polly.Timeout;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Resilience;

/// <summary>Makes one-attempt generation patient, and turns what remains of failure into the program's own exceptions.</summary>
sealed class ResilientGenerator(ITextGenerator inner, TeacherEndpoint endpoint, TeacherPipeline pipeline, ResilienceOptions options) : ITextGenerator
{
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        var timeout = options.TimeoutFor(request.Sampling.MaxTokens);
        try
        {
            return await pipeline.ExecuteAsync(token => inner.GenerateAsync(request, token), timeout, cancellationToken);
        }
        catch (TeacherRequestException e) when (e.Scope == FailureScope.Teacher)
        {
            throw new TeacherUnavailableException(e.Message, e);
        }
        catch (TeacherRequestException e) when (e.Scope == FailureScope.Request)
        {
            throw new InvalidInputException($"sample {request.Id}: {e.Message}", e);
        }
        catch (TeacherRequestException e)
        {
            var told = $"{e.Message} (tried {(e.Overloaded ? options.MaxOverloadRetries : options.MaxRetries) + 1} times)";
            throw e.NoConnection ? new TeacherUnavailableException(told, e) : new ExternalFailureException($"sample {request.Id}: {told}", e);
        }
        catch (TimeoutRejectedException e)
        {
            throw new ExternalFailureException(
                $"sample {request.Id}: no whole answer from {endpoint} within {timeout.TotalSeconds:0} s; lower --max-tokens or --concurrency, or raise --attempt-timeout", e);
        }
        catch (BrokenCircuitException e)
        {
            throw new TeacherUnavailableException($"{e.InnerException?.Message ?? $"{endpoint} keeps failing"}; gave up after {options.MaxRetries + 1} attempts", e);
        }
    }
}
