using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>
/// OpenAI and Azure: bytes without ids, the end of the sequence not reported, a model that writes its thoughts into the text.
/// </summary>
sealed class OpenAiForm : ChatForm
{
    public override string Name => "openai";

    protected override string OwnedBy => "system";

    protected override void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        base.WriteMessage(json, answer);
        json.WriteNull("refusal");
        json.WriteStartArray("annotations");
        json.WriteEndArray();
    }

    protected override IEnumerable<TeacherToken> Reported(TeacherAnswer answer) =>
        answer.Tokens.Where(token => token.Id != TestVocabulary.EndOfSequence);

    protected override void WriteLogprobsTail(Utf8JsonWriter json) => json.WriteNull("refusal");

    protected override void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        WriteUsage(json, answer, () =>
        {
            json.WriteStartObject("prompt_tokens_details");
            json.WriteNumber("cached_tokens", 0);
            json.WriteNumber("audio_tokens", 0);
            json.WriteEndObject();
            json.WriteStartObject("completion_tokens_details");
            json.WriteNumber("reasoning_tokens", 0);
            json.WriteEndObject();
        });
        json.WriteString("service_tier", "default");
        json.WriteString("system_fingerprint", "fp_44709d6fcb");
    }
}

/// <summary>
/// DeepSeek's own service: reasoning apart, logprobs made up where they are asked for (0 for the token drawn, −9999 for any other).
/// </summary>
sealed class DeepSeekForm : ChatForm
{
    public override string Name => "deepseek";

    protected override string OwnedBy => "deepseek";

    protected override void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        json.WriteString("content", answer.Answer);
        json.WriteString("reasoning_content", answer.Reasoning);
    }

    protected override IEnumerable<Alternative> Alternatives(TeacherToken token, int k) =>
        token
            .Alternatives.Where(entry => entry.Id != token.Id)
            .Select(entry => entry with { Logprob = -9999 })
            .Prepend(new Alternative(token.Id, 0))
            .Take(k);

    protected override void WriteEntry(Utf8JsonWriter json, TeacherRequest request, int id, float logprob) =>
        base.WriteEntry(json, request, id, logprob <= -9999 ? logprob : 0);

    protected override void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        WriteUsage(json, answer, () =>
        {
            json.WriteStartObject("prompt_tokens_details");
            json.WriteNumber("cached_tokens", 0);
            json.WriteEndObject();
            json.WriteNumber("prompt_cache_hit_tokens", 0);
            json.WriteNumber("prompt_cache_miss_tokens", answer.PromptTokenIds.Length);
        });
        json.WriteString("system_fingerprint", "fp_eaab8d114b_prod0820_fp8_kvcache");
    }
}

/// <summary>OpenRouter: reasoning as text and as a list of details, two finish reasons, errors with numbers for codes.</summary>
sealed class OpenRouterForm : ChatForm
{
    public override string Name => "openrouter";

    protected override void WriteHead(Utf8JsonWriter json, TeacherRequest request)
    {
        json.WriteString("id", Id(request, "gen-1760000000-"));
        json.WriteString("provider", "Fireworks");
        json.WriteString("model", request.Model);
        json.WriteString("object", request.IsStreamed ? "chat.completion.chunk" : "chat.completion");
        json.WriteNumber("created", Created);
    }

    protected override void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        json.WriteString("content", answer.Answer);
        json.WriteNull("refusal");
        json.WriteString("reasoning", answer.Reasoning);
        json.WriteStartArray("reasoning_details");
        json.WriteStartObject();
        json.WriteString("type", "reasoning.text");
        json.WriteString("text", answer.Reasoning);
        json.WriteString("format", "unknown");
        json.WriteNumber("index", 0);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    protected override void WriteChoiceTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        json.WriteString("native_finish_reason", answer.FinishReason);

    protected override void WriteLogprobsTail(Utf8JsonWriter json) => json.WriteNull("refusal");

    protected override void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteUsage(json, answer, () => json.WriteNumber("cost", 0.0000123));

    protected override void WriteError(Utf8JsonWriter json, int status, string message)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteNumber("code", status);
        json.WriteEndObject();
        json.WriteString("user_id", "user_1");
        json.WriteEndObject();
    }
}
