using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

[Trait("Category", "Numeric")]
public class ComputeDtypeTests
{
    static readonly ObjectivePlan Settings = ObjectivePlan.Classic(0.6, 1.5, MissingMass.TailBucket);

    /// <summary>
    /// bfloat16 keeps 8 bits: a rounding is off by up to 0.4 %, and the roundings of a pass add up to about one per cent.
    /// </summary>
    [Fact]
    public void Accumulate_BFloat16_GivesTheFloat32GradientWithinItsPrecision()
    {
        using var parameters = SampleSequences.Parameters();
        var batch = SampleSequences.Create(12);
        using var exact = new GradientWorkers(TrainedWeights.All(parameters), 2, 100);
        using var rounded = new GradientWorkers(TrainedWeights.All(parameters), 2, 100, ComputeDtype.BFloat16);

        var (exactTotals, roundedTotals) = (
            exact.Accumulate(batch, Settings.At(TrainingPoint.First)),
            rounded.Accumulate(batch, Settings.At(TrainingPoint.First))
        );

        Assert.Equal(exactTotals.Loss, roundedTotals.Loss, 2e-3 * exactTotals.Loss);
        foreach (var name in parameters.Names)
        {
            Assert.InRange(SampleSequences.Distance(Part(parameters, exact, name), Part(parameters, rounded, name)), 1e-5, 0.03);
        }
    }

    /// <summary>The layers' own products are rounded, the adapters' are not.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Accumulate_BFloat16WithAdapters_GivesTheFloat32GradientWithinItsPrecision(bool useDora)
    {
        using var parameters = SampleSequences.Parameters();
        using var adapter = SampleAdapters.Create(parameters, useDora);
        var batch = SampleSequences.Create(12);
        using var exact = new GradientWorkers(TrainedWeights.Of(adapter), 2, 100);
        using var rounded = new GradientWorkers(TrainedWeights.Of(adapter), 2, 100, ComputeDtype.BFloat16);

        exact.Accumulate(batch, Settings.At(TrainingPoint.First));
        rounded.Accumulate(batch, Settings.At(TrainingPoint.First));

        Assert.InRange(SampleSequences.Distance(exact.Gradient.Span.ToArray(), rounded.Gradient.Span.ToArray()), 1e-5, 0.03);
    }

    [Fact]
    public void Accumulate_BFloat16AfterALongerBatch_LeavesNoTraceOfIt()
    {
        using var parameters = SampleSequences.Parameters();
        var batch = SampleSequences.Create(4);
        using var fresh = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, ComputeDtype.BFloat16);
        using var used = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, ComputeDtype.BFloat16);
        used.Accumulate(SampleSequences.Create(12), Settings.At(TrainingPoint.First));

        var (freshTotals, usedTotals) = (
            fresh.Accumulate(batch, Settings.At(TrainingPoint.First)),
            used.Accumulate(batch, Settings.At(TrainingPoint.First))
        );

        Assert.Equal(freshTotals.Loss, usedTotals.Loss);
        Assert.Equal(fresh.Gradient.Span.ToArray(), used.Gradient.Span.ToArray());
    }

    [Fact]
    public void Accumulate_BFloat16AfterTheWeightsChanged_UsesTheNewOnes()
    {
        using var parameters = SampleSequences.Parameters();
        var batch = SampleSequences.Create(4);
        using var workers = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, ComputeDtype.BFloat16);
        var before = workers.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss;
        parameters.Initialize(4);
        using var fresh = new GradientWorkers(TrainedWeights.All(parameters), 1, 1_000, ComputeDtype.BFloat16);

        var after = workers.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss;

        Assert.NotEqual(before, after);
        Assert.Equal(fresh.Accumulate(batch, Settings.At(TrainingPoint.First)).Loss, after);
    }

    [Fact]
    public void OnThisProcessor_BFloat16_IsTakenWhereTheSystemSaysSo()
    {
        Assert.SkipUnless(File.Exists("/proc/cpuinfo"), "only Linux lists the processor's features in a file");
        // A runtime that is told to do without AVX-512 stands for a processor without.
        var isOff = new[] { "DOTNET_EnableAVX512", "DOTNET_EnableAVX2" }.Any(name => Environment.GetEnvironmentVariable(name) == "0");
        var listed = !isOff && File.ReadAllText("/proc/cpuinfo").Split([' ', '\n']).Contains("avx512_bf16");

        Assert.Equal(listed ? ComputeDtype.BFloat16 : ComputeDtype.Float32, ComputeDtype.BFloat16.OnThisProcessor());
        Assert.Equal(ComputeDtype.Float32, ComputeDtype.Float32.OnThisProcessor());
    }

    static float[] Part(ModelParameters parameters, GradientWorkers workers, string name) =>
        workers.Gradient.Span.Slice((int)parameters.OffsetOf(name), parameters.Values(name).Length).ToArray();
}
