using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace TraceDistill.Teachers.Collection;

/// <summary>A seed for each sample that depends on nothing but the run's seed, the problem and the sample's index: never on scheduling.</summary>
static class SampleSeed
{
    /// <returns>31 bits: every server takes them.</returns>
    public static long Of(long runSeed, string problemId, int sampleIndex)
    {
        var id = Encoding.UTF8.GetBytes(problemId);
        var input = new byte[12 + id.Length];
        BinaryPrimitives.WriteInt64LittleEndian(input, runSeed);
        BinaryPrimitives.WriteInt32LittleEndian(input.AsSpan(8), sampleIndex);
        id.CopyTo(input.AsSpan(12));
        return BinaryPrimitives.ReadUInt32LittleEndian(SHA256.HashData(input)) >> 1;
    }
}
