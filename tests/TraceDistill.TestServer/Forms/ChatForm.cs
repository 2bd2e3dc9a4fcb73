using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>OpenAI's chat completion; servers that take after it differ in the members named here.</summary>
public abstract class ChatForm : WireForm
{
    /// <summary>Most alternatives that the server grants.</summary>
    protected virtual int MostAlternatives => 20;

    protected override void WriteCompletion(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        json.WriteStartObject();
        WriteHead(json, request);
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        WriteMessage(json, answer);
        json.WriteEndObject();
        WriteLogprobsMember(json, request, answer);
        json.WriteString("finish_reason", answer.FinishReason);
        WriteChoiceTail(json, request, answer);
        json.WriteEndObject();
        json.WriteEndArray();
        WriteTail(json, request, answer);
        json.WriteEndObject();
    }

    protected virtual void WriteHead(Utf8JsonWriter json, TeacherRequest request)
    {
        json.WriteString("id", Id(request, "chatcmpl-"));
        json.WriteString("object", "chat.completion");
        json.WriteNumber("created", Created);
        json.WriteString("model", request.Model);
    }

    /// <summary>Text and reasoning.</summary>
    protected virtual void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer) => json.WriteString("content", answer.Text);

    protected virtual void WriteChoiceTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
    }

    protected virtual void WriteTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) => WriteUsage(json, answer);

    protected virtual void WriteLogprobsMember(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer)
    {
        if (request.TopLogprobs == 0)
        {
            json.WriteNull("logprobs");
            return;
        }

        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (var token in Reported(answer))
        {
            json.WriteStartObject();
            WriteEntry(json, request, token.Id, token.Logprob);
            json.WriteStartArray("top_logprobs");
            foreach (var alternative in Alternatives(token, Math.Min(request.TopLogprobs, MostAlternatives)))
            {
                json.WriteStartObject();
                WriteEntry(json, request, alternative.Id, alternative.Logprob);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteLogprobsTail(json);
        json.WriteEndObject();
    }

    /// <summary>The tokens that logprobs are reported for.</summary>
    protected virtual IEnumerable<TeacherToken> Reported(TeacherAnswer answer) => answer.Tokens;

    /// <summary>The alternatives in the order in which the server writes them.</summary>
    protected virtual IEnumerable<Alternative> Alternatives(TeacherToken token, int k) => token.Alternatives.Take(k);

    /// <summary>A token as text, logprob and bytes, without the braces around.</summary>
    protected virtual void WriteEntry(Utf8JsonWriter json, TeacherRequest request, int id, float logprob)
    {
        json.WriteString("token", TestVocabulary.Text(id));
        json.WriteNumber("logprob", (double)logprob);
        WriteBytes(json, TestVocabulary.Bytes(id));
    }

    protected virtual void WriteLogprobsTail(Utf8JsonWriter json)
    {
    }

    protected static void WriteUsage(Utf8JsonWriter json, TeacherAnswer answer, Action? details = null)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", answer.PromptTokenIds.Length);
        json.WriteNumber("completion_tokens", answer.Tokens.Count);
        json.WriteNumber("total_tokens", answer.PromptTokenIds.Length + answer.Tokens.Count);
        details?.Invoke();
        json.WriteEndObject();
    }
}
