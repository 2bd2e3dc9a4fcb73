using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>OpenAI's chat completion; servers that take after it differ in the members named here.</summary>
public abstract class ChatForm : StreamingForm
{
    /// <summary>Most alternatives that the server grants.</summary>
    protected virtual int MostAlternatives => 20;

    protected override void WriteCompletion(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(
            json,
            request,
            () =>
            {
                json.WriteStartObject("message");
                json.WriteString("role", "assistant");
                WriteMessage(json, answer);
                json.WriteEndObject();
                WriteLogprobsMember(json, request, answer);
                json.WriteString("finish_reason", answer.FinishReason);
                WriteChoiceTail(json, request, answer);
            },
            () => WriteTail(json, request, answer)
        );

    protected override void WriteFirstPiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(
            json,
            request,
            () =>
            {
                json.WriteStartObject("delta");
                json.WriteString("role", "assistant");
                json.WriteString("content", "");
                json.WriteEndObject();
                json.WriteNull("logprobs");
                json.WriteNull("finish_reason");
            },
            () => WriteFirstTail(json, request, answer)
        );

    protected override void WritePiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer piece, bool isLast) =>
        WriteWhole(
            json,
            request,
            () =>
            {
                json.WriteStartObject("delta");
                WriteMessage(json, piece);
                json.WriteEndObject();
                WriteLogprobsMember(json, request, piece);
                json.WriteString("finish_reason", isLast ? piece.FinishReason : null);
                WriteChoiceTail(json, request, piece);
            },
            () => { }
        );

    protected override void WriteUsagePiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) =>
        WriteWhole(json, request, choice: null, () => WriteTail(json, request, answer));

    /// <summary>Further fields of the first event.</summary>
    protected virtual void WriteFirstTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) { }

    /// <param name="choice">Writes the one choice; null where there is none.</param>
    /// <param name="tail">Writes what stands behind it.</param>
    void WriteWhole(Utf8JsonWriter json, TeacherRequest request, Action? choice, Action tail)
    {
        json.WriteStartObject();
        WriteHead(json, request);
        json.WriteStartArray("choices");
        if (choice is not null)
        {
            json.WriteStartObject();
            json.WriteNumber("index", 0);
            choice();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        tail();
        json.WriteEndObject();
    }

    protected virtual void WriteHead(Utf8JsonWriter json, TeacherRequest request)
    {
        json.WriteString("id", Id(request, "chatcmpl-"));
        json.WriteString("object", request.IsStreamed ? "chat.completion.chunk" : "chat.completion");
        json.WriteNumber("created", Created);
        json.WriteString("model", request.Model);
    }

    /// <summary>Text and reasoning.</summary>
    protected virtual void WriteMessage(Utf8JsonWriter json, TeacherAnswer answer) => json.WriteString("content", answer.Text);

    protected virtual void WriteChoiceTail(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) { }

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

    protected virtual void WriteLogprobsTail(Utf8JsonWriter json) { }

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
