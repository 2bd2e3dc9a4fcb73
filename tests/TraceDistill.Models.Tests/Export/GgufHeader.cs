using System.Text;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>Reads the head of a GGUF file: the list of tensors, and flags among its keys.</summary>
static class GgufHeader
{
    static readonly int[] Sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]; // of the format's types of values; 8 is text, 9 an array

    public static IReadOnlyList<(string Name, int Type)> Read(string path)
    {
        using var reader = new BinaryReader(File.OpenRead(path));
        reader.ReadUInt64(); // magic and version
        var (tensors, pairs) = (reader.ReadUInt64(), reader.ReadUInt64());
        for (var i = 0UL; i < pairs; i++)
        {
            Text(reader);
            Skip(reader, reader.ReadInt32());
        }

        return [.. Enumerable.Range(0, (int)tensors).Select(_ => Tensor(reader))];
    }

    /// <summary>A key's value of type bool.</summary>
    public static bool Flag(string path, string key)
    {
        using var reader = new BinaryReader(File.OpenRead(path));
        reader.ReadBytes(24); // magic, version and both counts
        while (Text(reader) != key)
        {
            Skip(reader, reader.ReadInt32());
        }

        Assert.Equal(7, reader.ReadInt32());
        return reader.ReadBoolean();
    }

    static (string, int) Tensor(BinaryReader reader)
    {
        var name = Text(reader);
        reader.ReadBytes(reader.ReadInt32() * 8);
        var type = reader.ReadInt32();
        reader.ReadUInt64();
        return (name, type);
    }

    static string Text(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes((int)reader.ReadUInt64()));

    static void Skip(BinaryReader reader, int type)
    {
        if (type == 8)
        {
            Text(reader);
        }
        else if (type == 9)
        {
            var item = reader.ReadInt32();
            for (var count = reader.ReadUInt64(); count > 0; count--)
            {
                Skip(reader, item);
            }
        }
        else
        {
            reader.ReadBytes(Sizes[type]);
        }
    }
}
