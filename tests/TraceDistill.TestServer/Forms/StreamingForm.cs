using System.Buffers;
using System.Text.Json;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Forms;

/// <summary>A server that sends its answer token by token where that is asked for.</summary>
public abstract class StreamingForm : WireForm
{
    /// <summary>Ends every stream.</summary>
    public static ReadOnlyMemory<byte> Done { get; } = "[DONE]"u8.ToArray();

    public override (ReadOnlyMemory<byte> Body, string ContentType) Reply(TeacherRequest request, TeacherAnswer answer) =>
        request.IsStreamed ? (Join(Events(request, answer)), "text/event-stream; charset=utf-8") : base.Reply(request, answer);

    /// <summary>
    /// Contents of the events: one before the first token, one a token, perhaps one that ends the choice, perhaps the usage, and the end.
    /// </summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Events(TeacherRequest request, TeacherAnswer answer)
    {
        var pieces = Sent(answer.Pieces()).ToList();
        var events = new List<ReadOnlyMemory<byte>> { Render(json => WriteFirstPiece(json, request, answer)) };
        events.AddRange(pieces.Select((piece, i) => Render(json => WritePiece(json, request, piece, isLast: i == pieces.Count - 1))));
        if (EndsApart)
        {
            events.Add(Render(json => WriteEndPiece(json, request, answer)));
        }

        if (request.WantsUsage)
        {
            events.Add(Render(json => WriteUsagePiece(json, request, answer)));
        }

        events.Add(Done);
        return events;
    }

    /// <summary>Events as they stand in a body.</summary>
    public static ReadOnlyMemory<byte> Join(IEnumerable<ReadOnlyMemory<byte>> events)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        foreach (var one in events)
        {
            buffer.Write("data: "u8);
            buffer.Write(one.Span);
            buffer.Write("\n\n"u8);
        }

        return buffer.WrittenMemory;
    }

    /// <summary>The tokens that an event is sent for.</summary>
    protected virtual IEnumerable<TeacherAnswer> Sent(IReadOnlyList<TeacherAnswer> pieces) => pieces;

    /// <summary>True where an event without a token ends the choice.</summary>
    protected virtual bool EndsApart => false;

    /// <summary>The event before the first token.</summary>
    protected abstract void WriteFirstPiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer);

    /// <summary>The event for one token.</summary>
    protected abstract void WritePiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer piece, bool isLast);

    /// <summary>The event that ends the choice, where that is not the last token's.</summary>
    protected virtual void WriteEndPiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer) { }

    /// <summary>The event behind the choice.</summary>
    protected abstract void WriteUsagePiece(Utf8JsonWriter json, TeacherRequest request, TeacherAnswer answer);
}
