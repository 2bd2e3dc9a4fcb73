using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Traces;

namespace TraceDistill.Teachers.Journal;

/// <summary>
/// One trace as a blob: a version byte, then Brotli over little-endian fields in the order of <see cref="Write"/>. Exact to the bit; it lives
/// from the request to the shards, on one machine.
/// </summary>
static class TraceCodec
{
    const byte Version = 1;

    public static byte[] Encode(Trace trace)
    {
        using var blob = new MemoryStream();
        blob.WriteByte(Version);
        using (var brotli = new BrotliStream(blob, CompressionLevel.Fastest, leaveOpen: true))
        using (var buffered = new BufferedStream(brotli, 1 << 16))
        using (var writer = new BinaryWriter(buffered, Encoding.UTF8, leaveOpen: true))
        {
            Write(writer, trace);
        }

        return blob.ToArray();
    }

    /// <exception cref="InvalidDataException">The blob is of another version or damaged.</exception>
    public static Trace Decode(byte[] blob)
    {
        if (blob.Length == 0 || blob[0] != Version)
        {
            throw new InvalidDataException("the journal was written by another version of this program");
        }

        try
        {
            using var brotli = new BrotliStream(new MemoryStream(blob, 1, blob.Length - 1), CompressionMode.Decompress);
            using var plain = new MemoryStream();
            brotli.CopyTo(plain);
            plain.Position = 0;
            using var reader = new BinaryReader(plain, Encoding.UTF8);
            return Read(reader);
        }
        catch (Exception e) when (e is EndOfStreamException or InvalidOperationException or IOException)
        {
            throw new InvalidDataException("a trace in the journal is damaged", e);
        }
    }

    static void Write(BinaryWriter writer, Trace trace)
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
            WriteArray(writer, logprobs.TopIds);
            WriteArray(writer, logprobs.TopLogprobs);
        }
    }

    static Trace Read(BinaryReader reader) => new()
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
        Logprobs = ReadLogprobs(reader),
    };

    static ChatMessage[] ReadMessages(BinaryReader reader)
    {
        var messages = new ChatMessage[reader.ReadInt32()];
        for (var i = 0; i < messages.Length; i++)
        {
            messages[i] = new ChatMessage(reader.ReadString(), reader.ReadString());
        }

        return messages;
    }

    static TokenLogprobs? ReadLogprobs(BinaryReader reader)
    {
        var k = reader.ReadInt32();
        return k < 0 ? null : new TokenLogprobs
        {
            K = k,
            TokenIds = ReadArray<int>(reader),
            Logprobs = ReadArray<float>(reader),
            TopIds = ReadArray<int>(reader),
            TopLogprobs = ReadArray<float>(reader),
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
        var values = new T[reader.ReadInt32()];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
