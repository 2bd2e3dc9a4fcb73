using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Journal;

/// <summary>
/// One of N equal partitions of a problem set, by hash of the problem's id: N processes that know only their own number cover the set
/// without overlap, whatever its order.
/// </summary>
/// <param name="Index">From 0 to <paramref name="Count"/> − 1.</param>
/// <param name="Count">Number of partitions.</param>
public readonly record struct Partition(int Index, int Count)
{
    /// <summary>All of it.</summary>
    public static Partition Whole { get; } = new(0, 1);

    /// <param name="text"><c>i/N</c> with i from 0 to N − 1, as Slurm arrays and Kubernetes Indexed Jobs count; null is the whole.</param>
    /// <exception cref="InvalidInputException">The text is none.</exception>
    public static Partition Parse(string? text)
    {
        if (text is null)
        {
            return Whole;
        }

        var parts = text.Split('/');
        return
            parts.Length == 2
            && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var index)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            && index < count
            && count <= ShardName.MostShards
            ? new Partition(index, count)
            : throw new InvalidInputException(
                $"partition: '{text}' is not a partition; write i/N with i from 0 to N-1, such as 0/8, and N up to {ShardName.MostShards}"
            );
    }

    public bool Contains(string problemId)
    {
        if (Count == 1)
        {
            return true;
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(problemId), hash);
        return BinaryPrimitives.ReadUInt64BigEndian(hash) % (ulong)Count == (ulong)Index;
    }
}
