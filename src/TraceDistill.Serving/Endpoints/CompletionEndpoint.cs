using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Hosting;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;
using TraceDistill.Serving.Responses;

namespace TraceDistill.Serving.Endpoints;

/// <summary>
/// <c>POST /v1/completions</c>: plain continuation, and the scoring of texts (<c>echo</c>, <c>logprobs</c>, <c>max_tokens: 0</c>).
/// </summary>
sealed class CompletionEndpoint(
    ServedModel model,
    BodyBudget bodies,
    AdmissionGate gate,
    int mostLogprobs,
    TimeProvider time,
    Func<long> nextSeed
)
{
    public async Task HandleAsync(HttpContext context)
    {
        using var body = await RequestBody.ReadAsync(context, bodies);
        var request = CompletionRequest.Read(body.Root, mostLogprobs);
        ModelsEndpoint.Check(model, request.Model);

        // Before prompts are made into tokens: that is work, too.
        using var ticket = gate.Enter(checked(request.PromptCount * request.Generation.Choices));
        var job = new GenerationJob(model, request.Encode(model.Tokenizer), request.Generation, nextSeed)
        {
            MaxTokens = request.MaxTokens,
            TopLogprobs = request.TopLogprobs,
            Echo = request.Echo,
        };
        var now = time.GetUtcNow();
        var header = new ResponseHeader($"cmpl-{Guid.CreateVersion7(now):N}", "text_completion", now.ToUnixTimeSeconds(), model.Name);
        if (request.Generation.Stream)
        {
            using var stream = new EventStream(context, header, job, new CompletionChunks(model, job).Write);
            await stream.RunAsync(model);
            return;
        }

        var choices = await job.RunAsync(context.RequestAborted);
        await CompletionResponse.WriteAsync(context, header, model, job, choices);
    }
}
