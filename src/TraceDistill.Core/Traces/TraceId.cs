using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Core.Generation;

namespace TraceDistill.Core.Traces;

/// <summary>The identity of a trace: equal requests have equal ids, so a resumed or repeated run asks for nothing twice.</summary>
public static class TraceId
{
    /// <returns>32 lower-case hexadecimal digits (the first 128 bits of SHA-256 over the length-prefixed fields).</returns>
    public static string Create(string problemId, IEnumerable<ChatMessage> messages, string teacher, SamplingSettings sampling, int sampleIndex)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> length = stackalloc byte[4];
        var fields = new[] { problemId, teacher, $"{sampling.Temperature:R}", $"{sampling.TopP:R}", $"{sampling.MaxTokens}", $"{sampling.Seed}", $"{sampling.TopLogprobs}", $"{sampleIndex}" }
            .Concat(messages.SelectMany(message => new[] { message.Role, message.Content }));
        foreach (var field in fields)
        {
            var bytes = Encoding.UTF8.GetBytes(field);
            BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
            hash.AppendData(length);
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16));
    }
}
