using System.Buffers.Binary;
using TraceDistill.TestServer.Teaching;

namespace TraceDistill.TestServer.Fuzzing;

/// <summary>Damages bytes a little, in ways that parsers have been known to fall over; the same way for the same seed.</summary>
public static class Mutation
{
    const int MostSteps = 4;

    static readonly byte[][] Words =
    [
        "null"u8.ToArray(),
        "NaN"u8.ToArray(),
        "-Infinity"u8.ToArray(),
        "1e999"u8.ToArray(),
        "-1"u8.ToArray(),
        "99999999999999999999"u8.ToArray(),
        "2147483648"u8.ToArray(),
        "0.1e-400"u8.ToArray(),
        "\""u8.ToArray(),
        "\\"u8.ToArray(),
        "\\u"u8.ToArray(),
        "\\ud800"u8.ToArray(),
        "{"u8.ToArray(),
        "}"u8.ToArray(),
        "["u8.ToArray(),
        "]"u8.ToArray(),
        ","u8.ToArray(),
        ":"u8.ToArray(),
        "true"u8.ToArray(),
        "\n"u8.ToArray(),
        "\0"u8.ToArray(),
        [0xFF],
        [0xC3, 0x28],
        [0xEF, 0xBB, 0xBF],
        "\"token\":\"token_id:5\""u8.ToArray(),
        "\"choices\":[{}],"u8.ToArray(),
        [.. Enumerable.Repeat((byte)'[', 3000)],
        [.. Enumerable.Repeat((byte)'9', 3000)],
    ];

    static readonly int[] Numbers = [0, 1, -1, int.MaxValue, int.MinValue, 0x7FFF, 0xFFFF, 1 << 24, 1 << 30];

    public static byte[] Of(byte[] input, ulong seed)
    {
        var random = new SplitMix64(seed);
        var bytes = new List<byte>(input);
        for (var steps = 1 + random.Next(MostSteps); steps > 0; steps--)
        {
            Step(bytes, ref random);
        }

        return [.. bytes];
    }

    static void Step(List<byte> bytes, ref SplitMix64 random)
    {
        var at = random.Next(bytes.Count + 1);
        var length = Math.Min(bytes.Count - at, 1 + random.Next(random.Next(2) == 0 ? 4 : 200));
        switch (random.Next(8))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < bytes.Count:
                bytes[at] = (byte)random.Next(256);
                break;
            case 2:
                bytes.RemoveRange(at, length);
                break;
            case 3:
                bytes.InsertRange(at, bytes[at..(at + length)]);
                break;
            case 4:
                bytes.InsertRange(at, Words[random.Next(Words.Length)]);
                break;
            case 5:
                bytes.RemoveRange(at, length);
                bytes.InsertRange(at, Words[random.Next(Words.Length)]);
                break;
            case 6 when at + sizeof(int) <= bytes.Count:
                var number = new byte[sizeof(int)];
                BinaryPrimitives.WriteInt32LittleEndian(number, Numbers[random.Next(Numbers.Length)]);
                bytes.RemoveRange(at, number.Length);
                bytes.InsertRange(at, number);
                break;
            case 7 when random.Next(4) == 0:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
        }
    }
}
