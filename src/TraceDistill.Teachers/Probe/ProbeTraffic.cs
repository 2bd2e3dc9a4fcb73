using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Scoring;
using TraceDistill.Teachers.Telemetry;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Probe;

/// <summary>Sends a probe's requests to one endpoint: within its rate limits, each once, and counted for what it took.</summary>
sealed class ProbeTraffic(TeacherClient client, EndpointRouter router, int endpoint, EndpointMeter meter)
{
    /// <inheritdoc cref="TeacherClient.CompleteAsync(IReadOnlyList{ChatMessage}, SamplingSettings, CancellationToken)"/>
    public Task<GenerationResult> CompleteAsync(
        IReadOnlyList<ChatMessage> messages,
        SamplingSettings sampling,
        CancellationToken cancellationToken
    ) =>
        SendAsync(
            PromptSize.Tokens(messages),
            sampling.MaxTokens,
            () => client.CompleteAsync(messages, sampling, cancellationToken),
            reply => (reply.PromptTokens, reply.CompletionTokens),
            cancellationToken
        );

    /// <inheritdoc cref="TeacherClient.PostAsync(string, ReadOnlyMemory{byte}, CancellationToken)"/>
    /// <param name="maxTokens">Most tokens of the answer.</param>
    public Task<JsonElement> PostAsync(string route, ReadOnlyMemory<byte> content, int maxTokens, CancellationToken cancellationToken) =>
        SendAsync(
            content.Length / PromptSize.BytesPerToken,
            maxTokens,
            () => client.PostAsync(route, content, cancellationToken),
            UsageOf,
            cancellationToken
        );

    /// <inheritdoc cref="TeacherClient.ScoreAsync"/>
    public Task<ScoredText> ScoreAsync(ScoringRequest request, ScoringWay way, CancellationToken cancellationToken) =>
        SendAsync(
            request.Tokens.Length,
            maxTokens: 1,
            () => client.ScoreAsync(request, way, progress: null, cancellationToken),
            scored => (scored.PromptTokens, scored.CompletionTokens),
            cancellationToken
        );

    async Task<T> SendAsync<T>(
        int promptTokens,
        int maxTokens,
        Func<Task<T>> send,
        Func<T, (int Prompt, int Completion)> usageOf,
        CancellationToken cancellationToken
    )
    {
        var place = await EnterAsync(promptTokens, maxTokens, cancellationToken);
        try
        {
            var reply = await send();
            var (prompt, completion) = usageOf(reply);
            router.Answered(place, prompt, completion);
            meter.Probed(prompt, completion);
            return reply;
        }
        catch (TeacherRequestException e)
        {
            router.Failed(place, RetryStrategies.IsOverload(e), e.RetryAfter);
            throw;
        }
        catch
        {
            router.Abandoned(place);
            throw;
        }
    }

    async Task<Place> EnterAsync(int promptTokens, int maxTokens, CancellationToken cancellationToken)
    {
        try
        {
            return await router.EnterAsync(promptTokens, maxTokens, avoid: -1, cancellationToken, only: endpoint);
        }
        catch (NotSentException e)
        {
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
    }

    static (int Prompt, int Completion) UsageOf(JsonElement reply) =>
        (reply.Count("usage", "prompt_tokens") ?? 0, reply.Count("usage", "completion_tokens") ?? 0);
}
