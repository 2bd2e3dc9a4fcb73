using TorchSharp;
using Xunit;

namespace TraceDistill.Training.Tests;

/// <summary>Counts what the whole process holds, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(TrainerMemoryTests), DisableParallelization = true)]
[Collection(nameof(TrainerMemoryTests))]
public class TrainerMemoryTests
{
    [Fact]
    public void Run_FiveHundredSteps_LeavesNoTensorBehindAndDoesNotGrow()
    {
        TrainerTests.Train(TrainerTests.Options with { MaxSteps = 100 });
        var bytes = ResidentBytes();
        var tensors = torch.Tensor.TotalCount;

        TrainerTests.Train(TrainerTests.Options with { MaxSteps = 500 });

        Assert.InRange(ResidentBytes() - bytes, long.MinValue, 64L << 20);
        Assert.Equal(tensors, torch.Tensor.TotalCount);
    }

    static long ResidentBytes()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
