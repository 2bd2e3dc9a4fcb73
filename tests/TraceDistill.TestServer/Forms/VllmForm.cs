using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>
/// vLLM: the token drawn first and the others in no order, one that lies outside the top k in the k-th one's place; tokens spelled as
/// <c>token_id:N</c>, with the bytes of that spelling, where that is asked for.
/// </summary>
sealed class VllmForm : ChatForm
{
    public override string Name => "vllm";

    protected override string OwnedBy => "vllm";

    public override IReadOnlyDictionary<string, string> KnownBy =>
        new Dictionary<string, string> { ["/version"] = """{"version":"0.11.0"}""", ["/health"] = "" };

    protected override void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        json.WriteString("content", answer.Answer);
        json.WriteNull("refusal");
        json.WriteNull("annotations");
        json.WriteNull("audio");
        json.WriteNull("function_call");
        json.WriteStartArray("tool_calls");
        json.WriteEndArray();
        json.WriteString("reasoning", answer.Reasoning);
        json.WriteString("reasoning_content", answer.Reasoning);
    }

    protected override IEnumerable<Alternative> Alternatives(TeacherToken token, int k)
    {
        var drawn = new Alternative(token.Id, token.Logprob);
        var others = token.Alternatives.Where(entry => entry.Id != token.Id).Take(k - 1).ToArray();

        // The order of a Python dictionary that was filled from a tensor of ids: any order, but always the same.
        return others.OrderBy(entry => entry.Id * 2_654_435_761u).Prepend(drawn);
    }

    protected override void WriteEntry(Utf8JsonWriter json, TeacherRequest request, int id, float logprob)
    {
        var text = request.SpellsTokenIds ? $"token_id:{id}" : TestVocabulary.Text(id);
        json.WriteString("token", text);
        json.WriteNumber("logprob", Math.Max((double)logprob, -9999));
        WriteBytes(json, System.Text.Encoding.UTF8.GetBytes(text));
    }

    protected override void WriteChoiceTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        json.WriteNull("stop_reason");
        if (request.ReturnsTokenIds)
        {
            WriteIds(json, "token_ids", answer.Tokens.Select(token => token.Id));
        }
        else
        {
            json.WriteNull("token_ids");
        }
    }

    protected override void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        json.WriteNull("service_tier");
        json.WriteNull("system_fingerprint");
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", answer.PromptTokenIds.Length);
        json.WriteNumber("total_tokens", answer.PromptTokenIds.Length + answer.Tokens.Count);
        json.WriteNumber("completion_tokens", answer.Tokens.Count);
        json.WriteNull("prompt_tokens_details");
        json.WriteEndObject();
        json.WriteNull("prompt_logprobs");
        WriteFirstTail(json, request, answer);
        json.WriteNull("kv_transfer_params");
    }

    protected override void WriteFirstTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        if (request.ReturnsTokenIds)
        {
            WriteIds(json, "prompt_token_ids", answer.PromptTokenIds);
        }
        else
        {
            json.WriteNull("prompt_token_ids");
        }
    }

    protected override void WriteError(Utf8JsonWriter json, int status, string message)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteString("type", status >= 500 ? "InternalServerError" : "BadRequestError");
        json.WriteNull("param");
        json.WriteNumber("code", status);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
