using TraceDistill.Models.Configuration;
using Xunit;

namespace TraceDistill.Models.Tests.Configuration;

/// <summary>Against the published definitions, in terms of wavelengths.</summary>
public class RotaryFrequenciesTests
{
    static readonly ModelConfiguration Shape = new()
    {
        VocabSize = 10,
        HiddenSize = 256,
        IntermediateSize = 10,
        NumHiddenLayers = 1,
        NumAttentionHeads = 2,
        NumKeyValueHeads = 2,
        HeadDim = 128,
        RopeTheta = 500_000,
        MaxPositionEmbeddings = 131_072,
    };

    static double Wavelength(int channel, double theta = 500_000) => 2 * Math.PI * Math.Pow(theta, 2.0 * channel / 128);

    [Theory]
    [InlineData(RopeType.Default, 1)]
    [InlineData(RopeType.Dynamic, 1)]
    [InlineData(RopeType.Linear, 4)]
    public void Angles_OfAWholeFactor_AreDividedByIt(RopeType type, double divisor)
    {
        var found = RotaryFrequencies.Of(
            Shape with
            {
                RopeScaling = new RopeScaling { Type = type, Factor = 4 },
            }
        );

        Assert.Equal(1, found.Magnitude);
        Assert.All(found.Angles.Index(), angle => Assert.Equal(2 * Math.PI / Wavelength(angle.Index) / divisor, angle.Item, 1e-12));
    }

    /// <summary>Meta's reference code: wavelengths over 8,192 / 1 stretched by 8, under 8,192 / 4 kept, blended between.</summary>
    [Fact]
    public void Angles_OfLlama3_FollowTheWavelength()
    {
        var found = RotaryFrequencies.Of(
            Shape with
            {
                RopeScaling = new RopeScaling
                {
                    Type = RopeType.Llama3,
                    Factor = 8,
                    OriginalMaxPositionEmbeddings = 8192,
                    LowFreqFactor = 1,
                    HighFreqFactor = 4,
                },
            }
        );

        var blended = 0;
        for (var c = 0; c < 64; c++)
        {
            var (wavelength, plain) = (Wavelength(c), 2 * Math.PI / Wavelength(c));
            var smooth = ((8192 / wavelength) - 1) / 3;
            blended += smooth is > 0 and < 1 ? 1 : 0;
            var expected =
                wavelength > 8192 ? plain / 8
                : wavelength < 2048 ? plain
                : ((1 - smooth) * plain / 8) + (smooth * plain);
            Assert.Equal(expected, found.Angles[c], 1e-12);
        }

        Assert.InRange(blended, 3, 10);
    }

    /// <summary>
    /// The paper's ramp runs over channels: from the one that makes 32 rotations within the original length to the one that makes one.
    /// </summary>
    [Fact]
    public void Angles_OfYarn_FollowTheRotations()
    {
        var found = RotaryFrequencies.Of(
            Shape with
            {
                RopeTheta = 1_000_000,
                RopeScaling = new RopeScaling
                {
                    Type = RopeType.Yarn,
                    Factor = 4,
                    OriginalMaxPositionEmbeddings = 32_768,
                },
            }
        );

        var rotations = Enumerable.Range(0, 64).Select(c => 32_768 / Wavelength(c, 1_000_000)).ToArray();
        // floor and ceiling of the real-valued channel
        var (low, high) = (rotations.Count(count => count > 32) - 1, rotations.Count(count => count > 1));
        for (var c = 0; c < 64; c++)
        {
            var ramp = Math.Clamp((double)(c - low) / (high - low), 0, 1);
            Assert.Equal(2 * Math.PI / Wavelength(c, 1_000_000) * ((ramp / 4) + 1 - ramp), found.Angles[c], 1e-12);
        }

        Assert.Equal(1 + (0.1 * Math.Log(4)), found.Magnitude, 1e-12);
    }

    [Theory]
    [InlineData(1.25, null, null, 1.25)]
    [InlineData(null, 1.0, 1.0, 1)]
    [InlineData(null, 1.0, 0.5, 1.3688879454113936 / 1.1844439727056968)] // (0.1 · ln 40 + 1) / (0.05 · ln 40 + 1)
    public void Magnitude_OfYarn_IsWhatTheFileSays(double? given, double? mscale, double? mscaleAllDim, double expected)
    {
        var scaling = new RopeScaling
        {
            Type = RopeType.Yarn,
            Factor = 40,
            OriginalMaxPositionEmbeddings = 4096,
            AttentionFactor = given,
            Mscale = mscale,
            MscaleAllDim = mscaleAllDim,
        };

        Assert.Equal(expected, RotaryFrequencies.Of(Shape with { RopeScaling = scaling }).Magnitude, 1e-12);
    }
}
