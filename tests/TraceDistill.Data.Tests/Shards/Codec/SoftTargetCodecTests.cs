using FsCheck.Xunit;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Data.Tests.Shards.Codec;

[Trait("Category", "Numeric")]
public sealed class SoftTargetCodecTests
{
    [Property(MaxTest = 60)]
    public void Decoding_OfWhatWasEncoded_GivesTheSameIdsAndCloseLogprobs(int seed, byte length, byte alternatives)
    {
        var k = alternatives % 40;
        var original = SampleTraces.SoftTargets(new Random(seed), length, k, vocabulary: 60);

        var decoded = SoftTargetCodec.Decode(SoftTargetCodec.Encode(original), length, k);

        Assert.Equal(original.TokenIds, decoded.TokenIds);
        Assert.Equal(original.TopIds, decoded.TopIds);
        for (var i = 0; i < original.TopLogprobs.Length; i++)
        {
            AssertClose(original.TopLogprobs[i], decoded.TopLogprobs[i], original.TopLogprobs[i / k * k], k);
        }
        for (var t = 0; t < length; t++)
        {
            AssertClose(original.Logprobs[t], decoded.Logprobs[t], k > 0 ? original.TopLogprobs[t * k] : 0, k);
        }
    }

    [Property(MaxTest = 60)]
    public void DecodedRow_AndItsTail_SumToOne(int seed)
    {
        var original = SampleTraces.SoftTargets(new Random(seed), tokens: 20, k: 8, vocabulary: 50);

        var decoded = SoftTargetCodec.Decode(SoftTargetCodec.Encode(original), 20, 8);

        for (var t = 0; t < 20; t++)
        {
            // The tail itself is not handed out: it is what the alternatives leave, so compare that with what the exact ones leave.
            var left = 1 - decoded.TopLogprobs.Skip(t * 8).Take(8).Sum(logprob => Math.Exp(logprob));
            var exact = Math.Max(0, 1 - original.TopLogprobs.Skip(t * 8).Take(8).Sum(logprob => Math.Exp(logprob)));
            Assert.InRange(left, -1e-6, 1);
            Assert.Equal(exact, left, 0.004 * Math.Sqrt(exact) + 1e-6);
        }
    }

    [Fact]
    public void Rows_OfAWholeVocabulary_SumToOneWithoutTail()
    {
        var original = SampleTraces.SoftTargets(new Random(1), tokens: 30, k: 40, vocabulary: 40);

        var decoded = SoftTargetCodec.Decode(SoftTargetCodec.Encode(original), 30, 40);

        for (var t = 0; t < 30; t++)
        {
            Assert.Equal(1, decoded.TopLogprobs.Skip(t * 40).Take(40).Sum(logprob => Math.Exp(logprob)), 1e-5);
        }
    }

    [Fact]
    public void Rows_OfLanguageModels_LoseLessThanAHundredThousandthOfANat()
    {
        var original = SampleTraces.SoftTargets(new Random(2), tokens: 400, k: 20);

        var decoded = SoftTargetCodec.Decode(SoftTargetCodec.Encode(original), 400, 20);

        Assert.InRange(Divergence(original, decoded) / 400, 0, 1e-5);
    }

    [Fact]
    public void CertainRow_WithFloorLogprobs_IsKept()
    {
        // What servers send for a token without alternatives: certainty, and −9999 for the rest.
        var original = Rows(
            k: 3,
            tokenIds: [5, 6],
            logprobs: [0f, 0f],
            topIds: [5, 6, 7, 6, 5, 7],
            topLogprobs: [0f, -9999f, -9999f, -1e-7f, -16f, -16.1f]
        );

        var decoded = SoftTargetCodec.Decode(SoftTargetCodec.Encode(original), 2, 3);

        Assert.Equal(original.TopIds, decoded.TopIds);
        Assert.Equal(original.TopLogprobs[0], decoded.TopLogprobs[0]);
        Assert.Equal(-9999f, decoded.TopLogprobs[1], 0.0626f);
        Assert.Equal(-16.1f, decoded.TopLogprobs[5], 0.0626f);
    }

    [Fact]
    public void ShortRows_AreFilledAgainAsTheyWere()
    {
        var none = float.NegativeInfinity;
        var original = ShortRows();

        var decoded = SoftTargetCodec.Decode(SoftTargetCodec.Encode(original), 3, 3);

        Assert.Equal(original.TokenIds, decoded.TokenIds);
        Assert.Equal(original.TopIds, decoded.TopIds);
        Assert.Equal([none, none, none, none, none, none], new[] { 2, 3, 4, 5, 7, 8 }.Select(i => decoded.TopLogprobs[i]));
        Assert.Equal(-4f, decoded.Logprobs[2], 0.01f);
    }

    [Fact]
    public void RepeatedPlaces_CostFarLessThanNewOnes()
    {
        var once = SampleTraces.SoftTargets(new Random(3), tokens: 50, k: 20);
        var twice = Rows(
            20,
            [.. once.TokenIds, .. once.TokenIds],
            [.. once.Logprobs, .. once.Logprobs],
            [.. once.TopIds, .. once.TopIds],
            [.. once.TopLogprobs, .. once.TopLogprobs]
        );

        var first = SoftTargetCodec.Encode(once).Length;
        var second = SoftTargetCodec.Encode(twice).Length - first;

        Assert.True(second < 0.65 * first, $"{first} bytes, and {second} more when everything comes again");
    }

    [Fact]
    public void Version1_StaysAsItIs()
    {
        // Written by version 1 of the codec; a change that writes or reads it otherwise must raise the version.
        Assert.Equal(Version1, Convert.ToBase64String(SoftTargetCodec.Encode(ShortRows())));
        var decoded = SoftTargetCodec.Decode(Convert.FromBase64String(Version1), tokens: 3, k: 3);

        Assert.Equal([9, 1, 70_000], decoded.TokenIds);
        Assert.Equal([9, 2, -1, -1, -1, -1, 4, -1, -1], decoded.TopIds);
        Assert.Equal(-0.5f, decoded.TopLogprobs[0], 0.002f);
    }

    const string Version1 = "ARGMTOFt1H0BkEv5BT5CWHbZUdWDeA==";

    [Property(MaxTest = 200)]
    public void DamagedBytes_AreRefusedOrDecoded_ButNeverCrash(int seed)
    {
        var random = new Random(seed);
        var blob = SoftTargetCodec.Encode(SampleTraces.SoftTargets(new Random(4), tokens: 30, k: 10, vocabulary: 100));
        for (var flips = random.Next(1, 4); flips > 0; flips--)
        {
            blob[random.Next(blob.Length)] ^= (byte)random.Next(1, 256);
        }

        DecodesOrRefuses(blob[..random.Next(blob.Length + 1)], tokens: 30, k: 10);
    }

    [Property(MaxTest = 200)]
    public void RandomBytes_AreRefusedOrDecoded_ButNeverCrash(byte[] bytes, byte tokens, byte k) =>
        DecodesOrRefuses([SoftTargetCodec.Version, .. bytes], tokens, k);

    [Fact]
    public void CutOffBytes_AreRefused()
    {
        var blob = SoftTargetCodec.Encode(SampleTraces.SoftTargets(new Random(5), tokens: 30, k: 10));

        Assert.Throws<InvalidDataException>(() => SoftTargetCodec.Decode(blob[..(blob.Length / 2)], 30, 10));
        Assert.Throws<InvalidDataException>(() => SoftTargetCodec.Decode([], 30, 10));
        Assert.Throws<InvalidDataException>(() => SoftTargetCodec.Decode([99, .. blob[1..]], 30, 10));
    }

    static void DecodesOrRefuses(byte[] blob, int tokens, int k)
    {
        try
        {
            SoftTargetCodec.Decode(blob, tokens, k);
        }
        catch (InvalidDataException) { }
    }

    static TokenLogprobs ShortRows()
    {
        var none = float.NegativeInfinity;
        return Rows(
            k: 3,
            tokenIds: [9, 1, 70_000],
            logprobs: [-0.5f, -0.3f, -4f],
            topIds: [9, 2, -1, -1, -1, -1, 4, -1, -1],
            topLogprobs: [-0.5f, -1f, none, none, none, none, -0.02f, none, none]
        );
    }

    // The bound that the codec documents.
    static void AssertClose(float expected, float actual, float best, int k)
    {
        var bound = (1 / Math.Exp(expected / 2) + Math.Sqrt(k + 1)) / 1000;
        if (expected < best - Math.Log(4096))
        {
            bound = 1 / 16.0 + Math.Sqrt(k + 1) / 1000 + (1 / 1000.0);
        }
        Assert.Equal(expected, actual, bound + 1e-4);
    }

    static double Divergence(TokenLogprobs exact, TokenLogprobs decoded) =>
        exact.TopLogprobs.Zip(decoded.TopLogprobs, (p, q) => Math.Exp(p) * (p - q) + Math.Exp(q) - Math.Exp(p)).Sum();

    static TokenLogprobs Rows(int k, int[] tokenIds, float[] logprobs, int[] topIds, float[] topLogprobs) =>
        new()
        {
            K = k,
            TokenIds = tokenIds,
            Logprobs = logprobs,
            TopIds = topIds,
            TopLogprobs = topLogprobs,
        };
}
