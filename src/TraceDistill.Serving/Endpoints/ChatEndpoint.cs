using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Hosting;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;
using TraceDistill.Serving.Responses;

namespace TraceDistill.Serving.Endpoints;

/// <summary><c>POST /v1/chat/completions</c></summary>
sealed class ChatEndpoint(
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
        var request = ChatCompletionRequest.Read(body.Root, mostLogprobs);
        ModelsEndpoint.Check(model, request.Model);

        // Before the prompt is made into tokens: that is work, too.
        using var ticket = gate.Enter(request.Generation.Choices);
        var (prompt, picture) = model.Encode(request.Prompt);
        var job = new GenerationJob(model, [prompt], request.Generation, nextSeed)
        {
            MaxTokens = request.MaxTokens,
            TopLogprobs = request.TopLogprobs,
            Picture = picture,
        };
        var fragments = model.Fragments(request.Generation.TokensAsTokenIds);
        var now = time.GetUtcNow();
        var id = $"chatcmpl-{Guid.CreateVersion7(now):N}";
        if (request.Generation.Stream)
        {
            var chunks = new ChatChunks(job, fragments);
            var header = new ResponseHeader(id, "chat.completion.chunk", now.ToUnixTimeSeconds(), model.Name);
            using var stream = new EventStream(context, header, job, chunks.Write, request.Generation.ReturnTokenIds ? prompt : null);
            await stream.RunAsync(model);
            return;
        }

        var choices = await job.RunAsync(context.RequestAborted);
        await ChatResponse.WriteAsync(
            context,
            new ResponseHeader(id, "chat.completion", now.ToUnixTimeSeconds(), model.Name),
            job,
            choices,
            fragments
        );
    }
}
