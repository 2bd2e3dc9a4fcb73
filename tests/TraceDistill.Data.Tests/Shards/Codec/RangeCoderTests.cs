using FsCheck.Xunit;
using TraceDistill.Data.Shards.Codec;
using Xunit;

namespace TraceDistill.Data.Tests.Shards.Codec;

public sealed class RangeCoderTests
{
    [Property(MaxTest = 200)]
    public void Numbers_OfEverySize_ComeBack(int seed, byte count)
    {
        var random = new Random(seed);
        int[] numbers = [.. Enumerable.Range(0, count).Select(_ => random.Next() >> random.Next(1, 31))];

        Assert.Equal(numbers, RoundTrip(numbers.Select(number => number % NumberCoding.Limit)));
    }

    [Fact]
    public void LargestSymbols_InLongRows_CarryThroughTheBytesThatWait()
    {
        // All at the top of the range: the low end of the interval runs along 0xFF bytes, where a carry has to travel far.
        Assert.All(RoundTripNibbles([.. Enumerable.Repeat(15, 20_000)]), symbol => Assert.Equal(15, symbol));
        Assert.All(RoundTripNibbles([.. Enumerable.Repeat(0, 20_000)]), symbol => Assert.Equal(0, symbol));
    }

    [Property(MaxTest = 50)]
    public void SkewedSymbols_ComeBack_InLittleMoreThanTheirEntropy(int seed)
    {
        var random = new Random(seed);
        int[] symbols = [.. Enumerable.Range(0, 5000).Select(_ => random.NextDouble() < 0.9 ? 3 : random.Next(16))];

        var bytes = Encode(symbols);

        Assert.Equal(symbols, Decode(bytes, symbols.Length));
        var entropy = -(0.90625 * Math.Log2(0.90625) + 15 * 0.00625 * Math.Log2(0.00625)) * symbols.Length / 8;
        Assert.InRange(bytes.Length, 0.85 * entropy, 1.25 * entropy);
    }

    [Fact]
    public void Probabilities_AfterAnySymbols_AreNeverZero()
    {
        var models = new AdaptiveNibbles(1);
        for (var i = 0; i < 10_000; i++)
        {
            models.Update(0, i < 5000 ? 7 : 0);
        }

        Assert.All(Enumerable.Range(0, 16), symbol => Assert.InRange(models.Interval(0, symbol).Width, 1u, 32768u));
        Assert.Equal(32768u, models.Interval(0, 15).Start + models.Interval(0, 15).Width);
        Assert.All(Enumerable.Range(0, 16), symbol => Assert.Equal(symbol, models.Find(0, models.Interval(0, symbol).Start)));
    }

    static IEnumerable<int> RoundTrip(IEnumerable<int> numbers)
    {
        int[] values = [.. numbers];
        var encoder = new RangeEncoder();
        var models = new AdaptiveNibbles(2);
        foreach (var value in values)
        {
            NumberCoding.Number(ref encoder, models, 0, value);
        }

        var decoder = new RangeDecoder(encoder.Finish());
        models.Reset();
        return [.. values.Select(_ => NumberCoding.Number(ref decoder, models, 0, 0))];
    }

    static int[] RoundTripNibbles(int[] symbols) => Decode(Encode(symbols), symbols.Length);

    static byte[] Encode(int[] symbols)
    {
        var encoder = new RangeEncoder();
        var models = new AdaptiveNibbles(1);
        foreach (var symbol in symbols)
        {
            encoder.Nibble(models, 0, symbol);
        }

        return encoder.Finish();
    }

    static int[] Decode(byte[] bytes, int count)
    {
        var decoder = new RangeDecoder(bytes);
        var models = new AdaptiveNibbles(1);
        return [.. Enumerable.Range(0, count).Select(_ => decoder.Nibble(models, 0, 0))];
    }
}
