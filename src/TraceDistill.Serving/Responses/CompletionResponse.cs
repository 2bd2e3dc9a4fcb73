using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Responses;

/// <summary>Writes a whole <c>text_completion</c>. With echo, text and logprobs begin with the prompt.</summary>
static class CompletionResponse
{
    public static async Task WriteAsync(HttpContext context, ResponseHeader header, ServedModel model, GenerationJob job, Choice[] choices)
    {
        await using var body = new JsonBody(context);
        var json = body.Json;
        json.WriteStartObject();
        header.Write(json);
        json.WriteStartArray("choices");
        foreach (var (index, choice) in choices.Index())
        {
            json.WriteStartObject();
            json.WriteNumber("index", index);
            json.WriteString("text", job.Echo ? model.Tokenizer.Decode(choice.Prompt) + choice.Text : choice.Text);
            if (job.TopLogprobs == null)
            {
                json.WriteNull("logprobs");
            }
            else
            {
                Columns(model, job, choice).Write(json, firstOffset: 0);
            }

            json.WriteString("finish_reason", choice.FinishReason);
            if (job.Fields.ReturnTokenIds)
            {
                ResponseHeader.WriteIds(json, "prompt_token_ids", choice.Prompt);
                ResponseHeader.WriteIds(json, "token_ids", choice.Result.Tokens);
            }

            json.WriteEndObject();
            await body.FlushIfLargeAsync();
        }

        json.WriteEndArray();
        ResponseHeader.WriteUsage(json, job.PromptTokens, choices.Sum(choice => choice.Result.Tokens.Length));
        json.WriteEndObject();
    }

    static CompletionLogprobs Columns(ServedModel model, GenerationJob job, Choice choice)
    {
        var columns = new CompletionLogprobs(model, job.Fields);
        if (job.Echo)
        {
            columns.AddPrompt(choice.Prompt, choice.Result.PromptLogprobs!);
        }

        columns.Add(choice.Result.Logprobs!);
        return columns;
    }
}
