using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>
/// SGLang's chat route: tokens by text alone, with the bytes of the text; alternatives that read alike are merged into one.
/// </summary>
sealed class SglangForm : ChatForm
{
    public override string Name => "sglang";

    protected override string OwnedBy => "sglang";

    public override IReadOnlyDictionary<string, string> KnownBy => SglangServer.KnownBy;

    protected override void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        json.WriteString("content", answer.Answer);
        json.WriteString("reasoning_content", answer.Reasoning);
        json.WriteNull("tool_calls");
    }

    protected override IEnumerable<Alternative> Alternatives(TeacherToken token, int k) =>
        token.Alternatives.Take(k).DistinctBy(entry => TestVocabulary.Text(entry.Id));

    protected override void WriteEntry(Utf8JsonWriter json, TeacherRequest request, int id, float logprob)
    {
        json.WriteString("token", TestVocabulary.Text(id));
        WriteBytes(json, System.Text.Encoding.UTF8.GetBytes(TestVocabulary.Text(id)));
        json.WriteNumber("logprob", (double)logprob);
    }

    protected override void WriteChoiceTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        json.WriteNumber("matched_stop", TestVocabulary.EndOfSequence);

    protected override void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", answer.PromptTokenIds.Length);
        json.WriteNumber("total_tokens", answer.PromptTokenIds.Length + answer.Tokens.Count);
        json.WriteNumber("completion_tokens", answer.Tokens.Count);
        json.WriteNull("prompt_tokens_details");
        json.WriteNumber("reasoning_tokens", 0);
        json.WriteEndObject();
        json.WriteStartObject("metadata");
        json.WriteString("weight_version", "default");
        json.WriteEndObject();
    }

    protected override void WriteError(Utf8JsonWriter json, int status, string message) => SglangServer.WriteError(json, status, message);
}

/// <summary>SGLang's native route: ids, logprobs as triples [logprob, id, text].</summary>
sealed class SglangGenerateForm : WireForm
{
    public override string Name => "sglang-generate";

    public override string Route => "/generate";

    protected override string OwnedBy => "sglang";

    public override IReadOnlyDictionary<string, string> KnownBy => SglangServer.KnownBy;

    protected override void WriteCompletion(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        json.WriteStartObject();
        json.WriteString("text", answer.Text);
        WriteIds(json, "output_ids", answer.Tokens.Select(token => token.Id));
        json.WriteStartObject("meta_info");
        json.WriteString("id", Id(request, ""));
        json.WriteStartObject("finish_reason");
        json.WriteString("type", answer.FinishReason);
        if (answer.FinishReason == "stop")
        {
            json.WriteNumber("matched", TestVocabulary.EndOfSequence);
        }
        else
        {
            json.WriteNumber("length", request.MaxTokens);
        }

        json.WriteEndObject();
        json.WriteNumber("prompt_tokens", answer.PromptTokenIds.Length);
        json.WriteString("weight_version", "default");
        if (request.TopLogprobs > 0)
        {
            json.WriteStartArray("input_token_logprobs");
            json.WriteEndArray();
            json.WriteStartArray("output_token_logprobs");
            foreach (var token in answer.Tokens)
            {
                WriteTriple(json, token.Id, token.Logprob);
            }

            json.WriteEndArray();
            json.WriteStartArray("input_top_logprobs");
            json.WriteEndArray();
            json.WriteStartArray("output_top_logprobs");
            foreach (var token in answer.Tokens)
            {
                json.WriteStartArray();
                foreach (var alternative in token.Alternatives.Take(request.TopLogprobs))
                {
                    WriteTriple(json, alternative.Id, alternative.Logprob);
                }

                json.WriteEndArray();
            }

            json.WriteEndArray();
        }

        json.WriteNumber("completion_tokens", answer.Tokens.Count);
        json.WriteNumber("cached_tokens", 0);
        json.WriteNumber("e2e_latency", 0.25);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    protected override void WriteError(Utf8JsonWriter json, int status, string message) => SglangServer.WriteError(json, status, message);

    /// <summary>The text is null unless the request asks for it.</summary>
    static void WriteTriple(Utf8JsonWriter json, int id, float logprob)
    {
        json.WriteStartArray();
        json.WriteNumberValue((double)logprob);
        json.WriteNumberValue(id);
        json.WriteNullValue();
        json.WriteEndArray();
    }
}

/// <summary>The part that both of SGLang's routes share.</summary>
static class SglangServer
{
    public static IReadOnlyDictionary<string, string> KnownBy { get; } =
        new Dictionary<string, string>
        {
            ["/get_model_info"] =
                """{"model_path":"teacher","tokenizer_path":"teacher","is_generation":true,"preferred_sampling_params":null,"weight_version":"default"}""",
            ["/get_server_info"] = """{"model_path":"teacher","version":"0.5.5","status":"ready"}""",
            ["/health"] = "",
        };

    public static void WriteError(Utf8JsonWriter json, int status, string message)
    {
        json.WriteStartObject();
        json.WriteString("object", "error");
        json.WriteString("message", message);
        json.WriteString("type", status >= 500 ? "InternalServerError" : "BadRequest");
        json.WriteNull("param");
        json.WriteNumber("code", status);
        json.WriteEndObject();
    }
}
