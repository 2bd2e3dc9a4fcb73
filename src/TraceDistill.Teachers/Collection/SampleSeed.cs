using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Traces;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// A seed for each sample that depends on nothing but the run's seed, the problem and the sample's index: never on scheduling.
/// </summary>
static class SampleSeed
{
    /// <returns>31 bits: every server takes them.</returns>
    public static long Of(long runSeed, string problemId, int sampleIndex)
    {
        Span<byte> input = stackalloc byte[512];
        var length = 12 + Encoding.UTF8.GetByteCount(problemId);
        input = length <= input.Length ? input[..length] : new byte[length];
        BinaryPrimitives.WriteInt64LittleEndian(input, runSeed);
        BinaryPrimitives.WriteInt32LittleEndian(input[8..], sampleIndex);
        Encoding.UTF8.GetBytes(problemId, input[12..]);
        return Hash(input);
    }

    /// <summary>The seed with which a trace is asked for again.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="earlier">The seed it was collected with.</param>
    public static long After(TraceKey trace, long earlier)
    {
        Span<byte> input = stackalloc byte[8 + TraceKey.Size];
        BinaryPrimitives.WriteInt64LittleEndian(input, earlier);
        trace.Write(input[8..]);
        return Hash(input);
    }

    static long Hash(ReadOnlySpan<byte> input)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(input, hash);
        return BinaryPrimitives.ReadUInt32LittleEndian(hash) >> 1;
    }
}
