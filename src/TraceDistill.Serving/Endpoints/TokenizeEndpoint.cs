using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TraceDistill.Models;
using TraceDistill.Serving.Hosting;
using TraceDistill.Serving.Model;
using TraceDistill.Serving.Protocol;

namespace TraceDistill.Serving.Endpoints;

/// <summary><c>POST /tokenize</c> and <c>POST /detokenize</c>, as vLLM has them.</summary>
sealed class TokenizeEndpoint(ServedModel model, BodyBudget bodies, AdmissionGate gate)
{
    /// <summary>
    /// The ids of <c>prompt</c>, by default with the special tokens around it, or of <c>messages</c> as the chat template
    /// writes them, by default with the generation prompt; with <c>return_token_strs</c> also how the vocabulary writes them. Each
    /// vector of a picture is −1.
    /// </summary>
    public async Task TokenizeAsync(HttpContext context)
    {
        using var request = await RequestBody.ReadAsync(context, bodies);
        var fields = new RequestFields(request.Root);
        ModelsEndpoint.Check(model, fields.Text("model"));
        using var ticket = gate.Enter(1);
        var ids = fields.Text("prompt") is { } prompt
            ? model.Tokenizer.Encode(prompt, fields.Flag("add_special_tokens", absent: true))
            : Encode(fields);
        var isSpelled = fields.Flag("return_token_strs");
        await using var body = new JsonBody(context);
        body.Json.WriteStartObject();
        body.Json.WriteNumber("count", ids.Length);
        body.Json.WriteNumber("max_model_len", model.Engine.Configuration.MaxPositionEmbeddings);
        body.Json.WriteStartArray("tokens");
        foreach (var id in ids)
        {
            body.Json.WriteNumberValue(id);
        }

        body.Json.WriteEndArray();
        body.Json.WritePropertyName("token_strs");
        JsonSerializer.Serialize(
            body.Json,
            isSpelled ? ids.Select(id => id == PicturePrompt.Token ? null : model.Tokenizer.NameOf(id)) : null
        );
        body.Json.WriteEndObject();
    }

    /// <summary>The text of <c>tokens</c>, special ones included.</summary>
    public async Task DetokenizeAsync(HttpContext context)
    {
        using var request = await RequestBody.ReadAsync(context, bodies);
        var fields = new RequestFields(request.Root);
        ModelsEndpoint.Check(model, fields.Text("model"));
        var ids = fields.Ids("tokens");
        if (Array.FindIndex(ids, id => id < 0 || id >= model.Engine.Configuration.VocabSize) is >= 0 and var at)
        {
            throw fields.Bad("tokens", $"holds {ids[at]}, and the vocabulary ends at {model.Engine.Configuration.VocabSize - 1}");
        }

        await using var body = new JsonBody(context);
        body.Json.WriteStartObject();
        body.Json.WriteString("prompt", model.Tokenizer.Decode(ids));
        body.Json.WriteEndObject();
    }

    int[] Encode(RequestFields fields)
    {
        if (fields.Find("messages") is null)
        {
            throw fields.Bad("prompt", "is missing: give prompt, a text, or messages");
        }

        var chat = ChatPrompt.Read(fields);
        return chat.Pictures.Count > 0 || model.Engine.Configuration.Pictures is not null
            ? model.Encode(chat).Prompt
            : model.Tokenizer.Encode(chat.Render(model.Template), fields.Flag("add_special_tokens"));
    }
}
