using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>
/// llama.cpp's server: ids and true bytes; the finish reason comes before the message, a probability of zero is the
/// lowest float. A stream has an event for new text and for nothing else, so that the logprobs of the tokens without
/// text are told nowhere: of the think tags, the end of the sequence, and of a character's tokens all but the last.
/// </summary>
sealed class LlamaCppForm : StreamingForm
{
    public override string Name => "llamacpp";

    protected override string OwnedBy => "llamacpp";

    public override IReadOnlyDictionary<string, string> KnownBy =>
        new Dictionary<string, string>
        {
            ["/props"] =
                """{"default_generation_settings":{"id":0,"n_ctx":4096},"total_slots":1,"model_path":"models/teacher.gguf","chat_template":"","build_info":"b6765-6a51ae93"}""",
            ["/health"] = """{"status":"ok"}""",
        };

    protected override void WriteCompletion(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(
            json,
            request,
            answer.FinishReason,
            () =>
            {
                json.WriteStartObject("message");
                json.WriteString("role", "assistant");
                WriteText(json, answer);
                json.WriteEndObject();
                WriteLogprobs(json, request, answer);
            },
            () => WriteUsage(json, answer)
        );

    protected override void WriteFirstPiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(
            json,
            request,
            finishReason: null,
            () =>
            {
                json.WriteStartObject("delta");
                json.WriteString("role", "assistant");
                json.WriteNull("content");
                json.WriteEndObject();
            },
            () => { }
        );

    protected override bool EndsApart => true;

    protected override IEnumerable<TeacherAnswer> Sent(IReadOnlyList<TeacherAnswer> pieces) =>
        pieces.Where(piece => piece.Reasoning.Length + piece.Answer.Length > 0);

    protected override void WriteEndPiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(
            json,
            request,
            answer.FinishReason,
            () =>
            {
                json.WriteStartObject("delta");
                json.WriteEndObject();
            },
            () => { }
        );

    protected override void WritePiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer piece, bool isLast) =>
        WriteWhole(
            json,
            request,
            finishReason: null,
            () =>
            {
                json.WriteStartObject("delta");
                WriteText(json, piece);
                json.WriteEndObject();
                WriteLogprobs(json, request, piece);
            },
            () => { }
        );

    protected override void WriteUsagePiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(json, request, finishReason: null, choice: null, () => WriteUsage(json, answer));

    static void WriteText(Utf8JsonWriter json, TeacherAnswer answer)
    {
        if (answer.Reasoning.Length > 0)
        {
            json.WriteString("reasoning_content", answer.Reasoning);
        }

        json.WriteString("content", answer.Answer);
    }

    static void WriteLogprobs(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        if (request.TopLogprobs == 0)
        {
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (var token in answer.Tokens)
        {
            json.WriteStartObject();
            WriteEntry(json, token.Id, token.Logprob);
            json.WriteStartArray("top_logprobs");
            foreach (var alternative in token.Alternatives.Take(request.TopLogprobs))
            {
                json.WriteStartObject();
                WriteEntry(json, alternative.Id, alternative.Logprob);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void WriteUsage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("completion_tokens", answer.Tokens.Count);
        json.WriteNumber("prompt_tokens", answer.PromptTokenIds.Length);
        json.WriteNumber("total_tokens", answer.PromptTokenIds.Length + answer.Tokens.Count);
        json.WriteEndObject();
        json.WriteStartObject("timings");
        json.WriteNumber("prompt_n", answer.PromptTokenIds.Length);
        json.WriteNumber("predicted_n", answer.Tokens.Count);
        json.WriteNumber("predicted_per_second", 42.5);
        json.WriteEndObject();
    }

    static void WriteWhole(Utf8JsonWriter json, TeacherRequest request, string? finishReason, Action? choice, Action tail)
    {
        json.WriteStartObject();
        json.WriteStartArray("choices");
        if (choice is not null)
        {
            json.WriteStartObject();
            json.WriteString("finish_reason", finishReason);
            json.WriteNumber("index", 0);
            choice();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("created", Created);
        json.WriteString("model", request.Model);
        json.WriteString("system_fingerprint", "b6765-6a51ae93");
        json.WriteString("object", request.IsStreamed ? "chat.completion.chunk" : "chat.completion");
        tail();
        json.WriteString("id", Id(request, "chatcmpl-"));
        json.WriteEndObject();
    }

    protected override void WriteError(Utf8JsonWriter json, int status, string message)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteNumber("code", status);
        json.WriteString("message", message);
        json.WriteString(
            "type",
            status switch
            {
                503 => "unavailable_error",
                >= 500 => "server_error",
                _ => "invalid_request_error",
            }
        );
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>As text, a token has only those of its bytes that are whole characters.</summary>
    static void WriteEntry(Utf8JsonWriter json, int id, float logprob)
    {
        json.WriteNumber("id", id);
        json.WriteString("token", TestVocabulary.Text(id).TrimEnd('\uFFFD'));
        WriteBytes(json, TestVocabulary.Bytes(id));
        json.WriteNumber("logprob", float.IsNegativeInfinity(logprob) ? float.MinValue : (double)logprob);
    }
}

/// <summary>
/// Ollama's OpenAI route: no logprobs, as before version 0.12.11; invalid UTF-8 became U+FFFD. Since then it tells those of the text.
/// </summary>
sealed class OllamaForm : ChatForm
{
    public override string Name => "ollama";

    protected override string OwnedBy => "library";

    public override IReadOnlyDictionary<string, string> KnownBy =>
        new Dictionary<string, string> { ["/api/version"] = """{"version":"0.12.6"}""", ["/"] = "Ollama is running" };

    protected override void WriteHead(Utf8JsonWriter json, TeacherRequest request)
    {
        base.WriteHead(json, request);
        json.WriteString("system_fingerprint", "fp_ollama");
    }

    protected override void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer)
    {
        json.WriteString("content", answer.Answer);
        if (answer.Reasoning.Length > 0)
        {
            json.WriteString("reasoning", answer.Reasoning);
        }
    }

    protected override void WriteLogprobsMember(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) { }
}

/// <summary>Text Generation Inference: tokens by text alone, at most five alternatives.</summary>
sealed class TgiForm : ChatForm
{
    public override string Name => "tgi";

    public override IReadOnlyDictionary<string, string> KnownBy =>
        new Dictionary<string, string>
        {
            ["/info"] =
                """{"model_id":"teacher","model_sha":null,"max_concurrent_requests":128,"max_best_of":2,"max_stop_sequences":4,"max_input_tokens":4095,"max_total_tokens":4096,"validation_workers":2,"max_client_batch_size":4,"router":"text-generation-router","version":"3.3.6"}""",
            ["/health"] = "",
        };

    protected override int MostAlternatives => 5;

    protected override void WriteHead(Utf8JsonWriter json, TeacherRequest request)
    {
        json.WriteString("object", request.IsStreamed ? "chat.completion.chunk" : "chat.completion");
        json.WriteString("id", "");
        json.WriteNumber("created", Created);
        json.WriteString("model", request.Model);
        json.WriteString("system_fingerprint", "3.3.6-native");
    }

    protected override void WriteEntry(Utf8JsonWriter json, TeacherRequest request, int id, float logprob)
    {
        json.WriteString("token", TestVocabulary.Text(id));
        json.WriteNumber("logprob", (double)logprob);
    }

    protected override void WriteError(Utf8JsonWriter json, int status, string message)
    {
        json.WriteStartObject();
        json.WriteString("error", message);
        json.WriteString(
            "error_type",
            status == 429 ? "overloaded"
                : status >= 500 ? "generation"
                : "validation"
        );
        json.WriteEndObject();
    }
}

/// <summary>This project's own server: ids beside true bytes, and the ids of the prompt.</summary>
sealed class TraceDistillForm : ChatForm
{
    public override string Name => "tracedistill";

    protected override string OwnedBy => "tracedistill";

    protected override void WriteEntry(Utf8JsonWriter json, TeacherRequest request, int id, float logprob)
    {
        json.WriteString("token", TestVocabulary.Text(id));
        json.WriteNumber("logprob", (double)logprob);
        WriteBytes(json, TestVocabulary.Bytes(id));
        json.WriteNumber("id", id);
    }

    protected override void WriteChoiceTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteIds(json, "token_ids", answer.Tokens.Select(token => token.Id));

    protected override void WriteFirstTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteIds(json, "prompt_token_ids", answer.PromptTokenIds);

    protected override void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        WriteIds(json, "prompt_token_ids", answer.PromptTokenIds);
        WriteUsage(json, answer);
    }
}
