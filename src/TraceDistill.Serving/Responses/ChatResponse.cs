using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Responses;

/// <summary>Writes a whole <c>chat.completion</c>.</summary>
/// <remarks>
/// The end-of-sequence token is part of <c>token_ids</c>, of the logprobs and of usage, not of the text: it was drawn from a
/// distribution like any other, and a student is to learn it. <c>message.content</c> is the raw text, think tags included.
/// </remarks>
static class ChatResponse
{
    public static async Task WriteAsync(
        HttpContext context,
        ResponseHeader header,
        GenerationJob job,
        Choice[] choices,
        TokenFragments fragments
    )
    {
        await using var body = new JsonBody(context);
        var json = body.Json;
        json.WriteStartObject();
        header.Write(json);
        if (job.Fields.ReturnTokenIds)
        {
            ResponseHeader.WriteIds(json, "prompt_token_ids", choices[0].Prompt);
        }

        json.WriteStartArray("choices");
        foreach (var (index, choice) in choices.Index())
        {
            json.WriteStartObject();
            json.WriteNumber("index", index);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            json.WriteString("content", choice.Text);
            json.WriteNull("refusal");
            json.WriteEndObject();
            await WriteLogprobsAsync(body, choice, new LogprobsWriter(fragments, job.Fields.SampledLogprobs));
            json.WriteString("finish_reason", choice.FinishReason);
            if (job.Fields.ReturnTokenIds)
            {
                ResponseHeader.WriteIds(json, "token_ids", choice.Result.Tokens);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        ResponseHeader.WriteUsage(json, job.PromptTokens, choices.Sum(choice => choice.Result.Tokens.Length));
        json.WriteEndObject();
    }

    static async Task WriteLogprobsAsync(JsonBody body, Choice choice, LogprobsWriter writer)
    {
        if (choice.Result.Logprobs is not { } logprobs)
        {
            body.Json.WriteNull("logprobs");
            return;
        }

        body.Json.WriteStartObject("logprobs");
        body.Json.WriteStartArray("content");
        for (var t = 0; t < logprobs.Count; t++)
        {
            writer.Write(body.Json, logprobs, t);
            await body.FlushIfLargeAsync();
        }

        body.Json.WriteEndArray();
        body.Json.WriteEndObject();
    }
}
