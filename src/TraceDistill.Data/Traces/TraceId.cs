using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Generation;
using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Traces;

/// <summary>The identity of a trace: equal requests have equal ids, so a resumed or repeated run asks for nothing twice.</summary>
public static class TraceId
{
    // A run makes millions of ids before it asks for anything.
    [ThreadStatic]
    static ArrayBufferWriter<byte>? Buffer;

    /// <returns>32 lower-case hexadecimal digits (the first 128 bits of SHA-256 over the length-prefixed fields).</returns>
    public static string Create(
        string problemId,
        IReadOnlyList<ChatMessage> messages,
        string teacher,
        SamplingSettings sampling,
        int sampleIndex
    ) => KeyOf(problemId, messages, teacher, sampling, sampleIndex).ToString();

    /// <summary>The same id in 16 bytes.</summary>
    public static TraceKey KeyOf(
        string problemId,
        IReadOnlyList<ChatMessage> messages,
        string teacher,
        SamplingSettings sampling,
        int sampleIndex
    )
    {
        var fields = Buffer ??= new ArrayBufferWriter<byte>(1024);
        fields.ResetWrittenCount();
        Append(fields, problemId);
        Append(fields, teacher);
        Append(fields, sampling.Temperature, "R");
        Append(fields, sampling.TopP, "R");
        Append(fields, sampling.MaxTokens);
        if (sampling.Seed is { } seed)
        {
            Append(fields, seed);
        }
        else
        {
            Append(fields, "");
        }

        Append(fields, sampling.TopLogprobs);
        Append(fields, sampleIndex);
        foreach (var message in messages)
        {
            Append(fields, message.Role);
            Append(fields, message.Content);
        }

        if (sampling.ExtraBody is { } extra)
        {
            Append(fields, extra);
        }

        if (sampling.DrawsAlternatives)
        {
            Append(fields, nameof(sampling.DrawsAlternatives)); // no JSON object, as further fields are
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(fields.WrittenSpan, hash);
        return TraceKey.Read(hash);
    }

    static void Append(ArrayBufferWriter<byte> fields, string text)
    {
        var bytes = fields.GetSpan(4 + Encoding.UTF8.GetMaxByteCount(text.Length));
        var length = Encoding.UTF8.GetBytes(text, bytes[4..]);
        BinaryPrimitives.WriteInt32LittleEndian(bytes, length);
        fields.Advance(4 + length);
    }

    static void Append<T>(ArrayBufferWriter<byte> fields, T number, ReadOnlySpan<char> format = default)
        where T : IUtf8SpanFormattable
    {
        const int longestNumber = 32;
        var bytes = fields.GetSpan(4 + longestNumber);
        number.TryFormat(bytes[4..], out var length, format, CultureInfo.InvariantCulture);
        BinaryPrimitives.WriteInt32LittleEndian(bytes, length);
        fields.Advance(4 + length);
    }
}
