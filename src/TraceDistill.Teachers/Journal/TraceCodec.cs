using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Journal;

/// <summary>
/// One trace as a blob: a version byte, then little-endian fields in the order of <see cref="Write"/>,
/// its alternatives encoded as compact shards have them, or, for those of the plain layout, as they are. It lives from the request to the
/// shards, on one machine.
/// </summary>
/// <remarks>So soft targets are encoded once, and little goes through the database.</remarks>
static class TraceCodec
{
    const byte Version = 4;

    /// <summary>The versions before: the first had no tool calls, and both had all alternatives encoded.</summary>
    const byte VersionWithoutToolCalls = 2,
        VersionEncodedAlone = 3;

    /// <param name="isExact">True to keep alternatives as they are, which takes several times as much.</param>
    public static byte[] Encode(Trace trace, bool isExact = false)
    {
        using var blob = new MemoryStream();
        using var writer = new BinaryWriter(blob, Encoding.UTF8);
        writer.Write(Version);
        Write(writer, trace, isExact);
        return blob.ToArray();
    }

    /// <returns>The trace, its alternatives in their encoding alone unless they were kept as they were.</returns>
    /// <exception cref="InvalidDataException">The blob is of another version or damaged.</exception>
    public static Trace Decode(byte[] blob)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(blob), Encoding.UTF8);
            var version = reader.ReadByte();
            if (version is not (Version or VersionEncodedAlone or VersionWithoutToolCalls))
            {
                throw new InvalidDataException("the journal was written by another version of this program");
            }

            var trace = Read(reader, version);
            return version != VersionWithoutToolCalls && reader.ReadBoolean() ? trace with { ToolCalls = reader.ReadString() } : trace;
        }
        catch (Exception e)
            when (e is EndOfStreamException or InvalidOperationException or IOException or FormatException or ArgumentException)
        {
            throw new InvalidDataException("a trace in the journal is damaged", e);
        }
    }

    static void Write(BinaryWriter writer, Trace trace, bool isExact)
    {
        writer.Write(trace.Id);
        writer.Write(trace.ProblemId);
        writer.Write(trace.Source);
        writer.Write(trace.Messages.Count);
        foreach (var message in trace.Messages)
        {
            writer.Write(message.Role);
            writer.Write(message.Content);
        }

        writer.Write(trace.Reasoning);
        writer.Write(trace.Answer);
        writer.Write(trace.Generation);
        writer.Write(trace.ExpectedAnswer);
        writer.Write(trace.FinishReason);
        writer.Write(trace.Verdict);
        writer.Write(trace.SampleIndex);
        writer.Write(trace.Seed);
        writer.Write(trace.Temperature);
        writer.Write(trace.TopP);
        writer.Write(trace.Teacher);
        writer.Write(trace.PromptTokens);
        writer.Write(trace.CompletionTokens);
        writer.Write(trace.LatencyMs);
        writer.Write(trace.CreatedAt.UtcTicks);
        WriteArray(writer, trace.PromptTokenIds);
        writer.Write(trace.Logprobs?.K ?? -1);
        if (trace.Logprobs is { } logprobs)
        {
            WriteArray(writer, logprobs.TokenIds);
            WriteArray(writer, logprobs.Logprobs);
            isExact &= logprobs.Encoded is null;
            writer.Write(isExact);
            if (isExact)
            {
                WriteArray(writer, logprobs.TopIds);
                WriteArray(writer, logprobs.TopLogprobs);
            }
            else
            {
                WriteArray(writer, logprobs.Encoded ?? SoftTargetCodec.Encode(logprobs));
            }
        }

        writer.Write(trace.ToolCalls is not null);
        if (trace.ToolCalls is { } calls)
        {
            writer.Write(calls);
        }
    }

    static Trace Read(BinaryReader reader, byte version) =>
        new()
        {
            Id = reader.ReadString(),
            ProblemId = reader.ReadString(),
            Source = reader.ReadString(),
            Messages = ReadMessages(reader),
            Reasoning = reader.ReadString(),
            Answer = reader.ReadString(),
            Generation = reader.ReadString(),
            ExpectedAnswer = reader.ReadString(),
            FinishReason = reader.ReadString(),
            Verdict = reader.ReadString(),
            SampleIndex = reader.ReadInt32(),
            Seed = reader.ReadInt64(),
            Temperature = reader.ReadDouble(),
            TopP = reader.ReadDouble(),
            Teacher = reader.ReadString(),
            PromptTokens = reader.ReadInt32(),
            CompletionTokens = reader.ReadInt32(),
            LatencyMs = reader.ReadInt32(),
            CreatedAt = new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero),
            PromptTokenIds = ReadArray<int>(reader),
            Logprobs = ReadLogprobs(reader, version),
        };

    static ChatMessage[] ReadMessages(BinaryReader reader)
    {
        var messages = new ChatMessage[Bounded(reader.ReadInt32(), Left(reader))];
        for (var i = 0; i < messages.Length; i++)
        {
            messages[i] = new ChatMessage(reader.ReadString(), reader.ReadString());
        }

        return messages;
    }

    static TokenLogprobs? ReadLogprobs(BinaryReader reader, byte version)
    {
        var k = reader.ReadInt32();
        if (k < 0)
        {
            return null;
        }

        var logprobs = new TokenLogprobs
        {
            K = k,
            TokenIds = ReadArray<int>(reader),
            Logprobs = ReadArray<float>(reader),
            TopIds = [],
            TopLogprobs = [],
        };
        return version == Version && reader.ReadBoolean()
            ? logprobs with
            {
                TopIds = ReadArray<int>(reader),
                TopLogprobs = ReadArray<float>(reader),
            }
            : logprobs with
            {
                Encoded = ReadArray<byte>(reader),
            };
    }

    static void WriteArray<T>(BinaryWriter writer, T[] values)
        where T : unmanaged
    {
        writer.Write(values.Length);
        writer.Write(MemoryMarshal.AsBytes(values.AsSpan()));
    }

    static T[] ReadArray<T>(BinaryReader reader)
        where T : unmanaged
    {
        var values = new T[Bounded(reader.ReadInt32(), Left(reader) / Unsafe.SizeOf<T>())];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    static long Left(BinaryReader reader) => reader.BaseStream.Length - reader.BaseStream.Position;

    /// <summary>A length, which in a damaged blob may be anything, unless there cannot be as much.</summary>
    static int Bounded(int length, long most) => length >= 0 && length <= most ? length : throw new EndOfStreamException();
}
