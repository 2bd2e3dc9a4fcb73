using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>
/// How one kind of server writes what a teacher generates: its members, in its order, with
/// its way of naming tokens. Equal requests get equal bytes.
/// </summary>
public abstract class WireForm
{
    /// <summary>When everything was created: a clock would make equal answers differ.</summary>
    protected const long Created = 1_760_000_000;

    static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>As the product's option <c>dialect</c> calls it.</summary>
    public abstract string Name { get; }

    /// <summary>Where completions are asked for.</summary>
    public virtual string Route => "/v1/chat/completions";

    /// <summary>Who owns a model, in the list of models; null where the list does not say so.</summary>
    protected virtual string? OwnedBy => null;

    /// <summary>Addresses that this kind of server is known by, with what it says there.</summary>
    public virtual IReadOnlyDictionary<string, string> KnownBy => new Dictionary<string, string>();

    /// <summary>The body that answers a request.</summary>
    public ReadOnlyMemory<byte> Completion(TeacherRequest request, TeacherAnswer answer) =>
        Render(json => WriteCompletion(json, request, answer));

    /// <summary>The body that answers a request in the way that it asks for, and what kind of content that is.</summary>
    public virtual (ReadOnlyMemory<byte> Body, string ContentType) Reply(TeacherRequest request, TeacherAnswer answer) =>
        (Completion(request, answer), "application/json");

    /// <summary>The body of <c>/v1/models</c>.</summary>
    public ReadOnlyMemory<byte> Models(IEnumerable<string> models) =>
        Render(json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            foreach (var model in models)
            {
                json.WriteStartObject();
                json.WriteString("id", model);
                json.WriteString("object", "model");
                json.WriteNumber("created", Created);
                if (OwnedBy is { } owner)
                {
                    json.WriteString("owned_by", owner);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });

    /// <summary>The body of a refusal or a failure.</summary>
    public ReadOnlyMemory<byte> Error(int status, string message) => Render(json => WriteError(json, status, message));

    protected abstract void WriteCompletion(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer);

    /// <summary>OpenAI's error, unless a server has one of its own.</summary>
    protected virtual void WriteError(Utf8JsonWriter json, int status, string message)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteString("type", status >= 500 ? "server_error" : "invalid_request_error");
        json.WriteNull("param");
        json.WriteString(
            "code",
            status == 429 ? "rate_limit_exceeded"
                : status >= 500 ? "server_error"
                : "invalid_value"
        );
        json.WriteEndObject();
        json.WriteEndObject();
    }

    protected static string Id(TeacherRequest request, string prefix) => $"{prefix}{request.Key:x16}";

    protected static void WriteIds(Utf8JsonWriter json, string name, IEnumerable<int> ids)
    {
        json.WriteStartArray(name);
        foreach (var id in ids)
        {
            json.WriteNumberValue(id);
        }

        json.WriteEndArray();
    }

    protected static void WriteBytes(Utf8JsonWriter json, ReadOnlySpan<byte> bytes)
    {
        json.WriteStartArray("bytes");
        foreach (var value in bytes)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    protected static ReadOnlyMemory<byte> Render(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            write(json);
        }

        return buffer.WrittenMemory;
    }
}
