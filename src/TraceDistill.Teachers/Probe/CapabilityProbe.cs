using Polly.CircuitBreaker;
using Polly.Timeout;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers.Probe;

/// <summary>Looks at an endpoint with its list of models and one completion of a few tokens.</summary>
sealed class CapabilityProbe(TeacherClient client, TimeProvider time, Func<double> random)
{
    const int ProbeTokens = 16;
    const int ModelsNamed = 10;

    // Someone waits for the answer: a few seconds of patience, not minutes.
    static readonly ResilienceOptions Patience = new() { Concurrency = 1, MaxRetries = 2, MaxOverloadRetries = 5, AttemptTimeout = TimeSpan.FromMinutes(2) };

    readonly TeacherPipeline _pipeline = new(Patience, time, random, SilentObserver.Instance);

    TeacherEndpoint Endpoint => client.Endpoint;

    /// <exception cref="TeacherUnavailableException">The endpoint cannot serve a run.</exception>
    /// <exception cref="InvalidInputException">The endpoint calls the request wrong: a setting of the run is.</exception>
    public async Task<TeacherCapabilities> RunAsync(SamplingSettings sampling, CancellationToken cancellationToken)
    {
        var models = await TryAsync(client.ListModelsAsync, models: null, cancellationToken);
        var request = sampling with { MaxTokens = Math.Min(sampling.MaxTokens, ProbeTokens), Seed = 0 };
        var result = await TryAsync(
            token => client.CompleteAsync([new ChatMessage("user", "What is 12 + 34?")], request, token), models, cancellationToken);
        return new TeacherCapabilities
        {
            Models = models,
            TokenIdentity = result.Logprobs switch { null => TokenIdentity.Text, { TokenBytes: not null } => TokenIdentity.Bytes, _ => TokenIdentity.Ids },
            TopLogprobs = sampling.TopLogprobs == 0 ? 0 : GrantedAlternatives(result),
            Logprobs = sampling.TopLogprobs == 0 || sampling is { Temperature: 1, TopP: 1 } ? LogprobKind.Raw : await KindAsync(sampling, models, cancellationToken),
            PromptTokenIds = result.PromptTokenIds is not null,
        };
    }

    int GrantedAlternatives(GenerationResult result)
    {
        if (result.Logprobs is not { } logprobs)
        {
            throw new TeacherUnavailableException(
                $"{Endpoint} names tokens by their text alone, which is no basis for soft targets; take a server that tells ids or bytes (vLLM, SGLang, llama.cpp, tracedistill serve), or collect text with --top-logprobs 0");
        }

        if (LogprobCheck.Problem(logprobs) is { } problem)
        {
            throw new TeacherUnavailableException(
                $"{Endpoint} {problem}; take a server that tells real logprobs (vLLM, SGLang, llama.cpp, tracedistill serve), or collect text with --top-logprobs 0");
        }

        return LogprobCheck.MostAlternatives(logprobs);
    }

    /// <summary>Compares the first token's distribution under the run's settings with that under none: only processed logprobs differ.</summary>
    async Task<LogprobKind> KindAsync(SamplingSettings sampling, IReadOnlyList<string>? models, CancellationToken cancellationToken)
    {
        ChatMessage[] question = [new("user", "Name any word.")];
        var settled = sampling with { MaxTokens = 1, Seed = 0 };
        var asSampled = await TryAsync(token => client.CompleteAsync(question, settled, token), models, cancellationToken);
        var plain = await TryAsync(token => client.CompleteAsync(question, settled with { Temperature = 1, TopP = 1 }, token), models, cancellationToken);
        return LogprobCheck.AreSameDistribution(plain.Logprobs, asSampled.Logprobs) ? LogprobKind.Raw : LogprobKind.Processed;
    }

    async Task<T> TryAsync<T>(Func<CancellationToken, Task<T>> attempt, IReadOnlyList<string>? models, CancellationToken cancellationToken)
    {
        try
        {
            return await _pipeline.ExecuteAsync(attempt, Patience.TimeoutFor(ProbeTokens), cancellationToken);
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
            throw new TeacherUnavailableException($"{Endpoint} gave no answer to a small request within {Patience.TimeoutFor(ProbeTokens).TotalSeconds:0} s; check what the server is doing", e);
        }
        catch (BrokenCircuitException e)
        {
            throw new TeacherUnavailableException(e.InnerException?.Message ?? $"{Endpoint} keeps failing", e);
        }
    }

    /// <summary>
    /// Says that the model is not among those listed, where that is so. Not an error by itself: some servers list one name and answer to any.
    /// </summary>
    string? Missing(IReadOnlyList<string>? models) => models is null || models.Contains(Endpoint.Model)
        ? null
        : $"{Endpoint} does not exist; this endpoint offers {(models.Count == 0 ? "no model" : string.Join(", ", models.Take(ModelsNamed)))}{(models.Count > ModelsNamed ? $" and {models.Count - ModelsNamed} more" : "")}: name one with --model";
}
