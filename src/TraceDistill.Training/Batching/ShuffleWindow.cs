using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace TraceDistill.Training.Batching;

/// <summary>Groups whose sequences are mixed with each other, because they are in memory at the same time.</summary>
/// <param name="Groups">Ascending.</param>
/// <param name="Rows">Every sequence of theirs once, in random order.</param>
sealed record ShuffleWindow(int[] Groups, (int Group, int Row)[] Rows)
{
    /// <summary>
    /// The order of a set's sequences, epoch after epoch without end: groups in an order of their own, cut into windows of
    /// about one size, and the sequences of a window in random order. A set that fits into one window is shuffled as a whole.
    /// </summary>
    /// <param name="groups">The set's.</param>
    /// <param name="seed">Equal seeds give equal orders.</param>
    /// <param name="windowBytes">Memory that the sequences of a window take at most, but for a larger group.</param>
    public static IEnumerable<ShuffleWindow> Series(IReadOnlyList<SequenceGroup> groups, string seed, long windowBytes)
    {
        var bytes = groups.Sum(group => group.Bytes);
        for (var epoch = 0; ; epoch++)
        {
            int[] order = [.. Enumerable.Range(0, groups.Count)];
            if (bytes > windowBytes)
            {
                Random($"{seed} epoch {epoch} groups").Shuffle(order);
            }

            foreach (var (index, members) in Cut(order, groups, bytes, windowBytes).Index())
            {
                Array.Sort(members);
                var rows = members
                    .SelectMany(group => groups[group].Lengths.Index().Where(row => row.Item > 0).Select(row => (group, row.Index)))
                    .ToArray();
                Random(index == 0 ? $"{seed} epoch {epoch}" : $"{seed} epoch {epoch} window {index}").Shuffle(rows);
                yield return new ShuffleWindow(members, rows);
            }
        }
    }

    static IEnumerable<int[]> Cut(int[] order, IReadOnlyList<SequenceGroup> groups, long total, long windowBytes)
    {
        // Of equal size, lest the last one mix little.
        var (even, members, bytes) = (total / Math.Ceiling((double)total / windowBytes), new List<int>(), 0L);
        foreach (var group in order)
        {
            if (members.Count > 0 && (bytes >= even || bytes + groups[group].Bytes > windowBytes))
            {
                yield return [.. members];
                members.Clear();
                bytes = 0;
            }

            members.Add(group);
            bytes += groups[group].Bytes;
        }

        yield return [.. members];
    }

    /// <summary>Random numbers of a text.</summary>
    public static Random Random(string seed) => new(BinaryPrimitives.ReadInt32LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(seed))));
}
