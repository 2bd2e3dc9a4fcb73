using TraceDistill.Data.Options;
using TraceDistill.Models;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Tests.Support;

/// <summary>
/// The device that numeric tests compute on: the CPU, or what <c>TRACEDISTILL_TEST_DEVICE</c> names, such as <c>cuda</c>.
/// </summary>
static class TestDevice
{
    public static DeviceChoice Choice { get; } =
        Environment.GetEnvironmentVariable("TRACEDISTILL_TEST_DEVICE") is { Length: > 0 } name
            ? DeviceChoice.Parse(name, null)
            : new DeviceChoice(DeviceChoice.CpuWord);

    public static Device Current { get; } = Choice.Resolve();

    /// <summary>Ends a test of what only the CPU promises: a GPU adds the rows of an embedding's gradient in any order.</summary>
    public static void SkipUnlessBitsRepeat() =>
        Xunit.Assert.SkipUnless(Current.type == TorchSharp.DeviceType.CPU, "the same bits again are a promise of the CPU alone");

    /// <summary>Runs something with weights on the device, and brings them back.</summary>
    public static void With(TrainedWeights weights, Action compute) => With(weights, () =>
        {
            compute();
            return true;
        });

    /// <inheritdoc cref="With(TrainedWeights, Action)"/>
    public static T With<T>(TrainedWeights weights, Func<T> compute)
    {
        weights.MoveTo(Current);
        try
        {
            return compute();
        }
        finally
        {
            weights.MoveTo(CPU);
        }
    }
}
