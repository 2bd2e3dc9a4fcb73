using System.Buffers.Binary;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Progress;

public class TensorBoardWriterTests
{
    [Fact]
    public void Write_Scalars_AreReadBackByTensorFlowsOwnMessages()
    {
        using var folder = new TemporaryDirectory();
        var time = new VirtualTime();
        using (var writer = new TensorBoardWriter(folder.File("student"), time))
        {
            writer.Write(5, new Dictionary<string, double> { ["loss/kd"] = 0.5, ["learning_rate"] = 1e-3 });
            time.Advance(TimeSpan.FromSeconds(1.5));
            writer.Write(3_000_000_000, new Dictionary<string, double> { ["loss/kd"] = double.NaN });
        }

        var file = Assert.Single(Directory.GetFiles(folder.File("student")));
        Assert.StartsWith("events.out.tfevents.", Path.GetFileName(file), StringComparison.Ordinal);
        var events = Records(File.ReadAllBytes(file)).Select(Tensorboard.Event.Parser.ParseFrom).ToList();
        Assert.Equal("brain.Event:2", events[0].FileVersion);
        Assert.Equal([0L, 5, 3_000_000_000], events.Select(item => item.Step));
        Assert.Equal(
            [("loss/kd", 0.5f), ("learning_rate", 0.001f)],
            events[1].Summary.Value.Select(value => (value.Tag, value.SimpleValue))
        );
        Assert.True(float.IsNaN(events[2].Summary.Value[0].SimpleValue));
        Assert.Equal(1.5, events[2].WallTime - events[1].WallTime, 3);
    }

    [Fact]
    public void Crc_OfTheStandardCheckString_IsTheStandardValue() => Assert.Equal(0xE3069283u, Crc("123456789"u8));

    /// <summary>An independent reader of TFRecords that checks every checksum.</summary>
    static IEnumerable<byte[]> Records(byte[] bytes)
    {
        for (var at = 0; at < bytes.Length; )
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(Crc(bytes.AsSpan(at, 8)), Unmask(BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8))));
            var data = bytes[(at + 12)..(at + 12 + length)];
            Assert.Equal(Crc(data), Unmask(BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length))));
            at += 16 + length;
            yield return data;
        }
    }

    static uint Unmask(uint masked)
    {
        var rotated = masked - 0xa282ead8;
        return rotated >> 17 | rotated << 15;
    }

    /// <summary>CRC-32C bit by bit, from its reflected polynomial.</summary>
    static uint Crc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
            }
        }

        return ~crc;
    }
}
