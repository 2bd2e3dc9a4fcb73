using TorchSharp;
using TraceDistill.Data.Contracts;
using TraceDistill.Models.Cpu;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests;

/// <summary>Counts what the whole process holds, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(TrainerMemoryTests), DisableParallelization = true)]
[Collection(nameof(TrainerMemoryTests))]
public class TrainerMemoryTests
{
    const int Warmup = 200,
        Steps = 2_000,
        TokensPerStep = 120;

    /// <summary>A fifth of what the steps would leave behind if each forgot one activation of [tokens, hidden].</summary>
    const long Allowed = (long)Steps * TokensPerStep * 32 * sizeof(float) / 5;

    /// <summary>Muon leaves vectors and embeddings to AdamW: the first has both.</summary>
    [Theory]
    [InlineData(OptimizerKind.Muon, ComputeDtype.BFloat16, false)]
    [InlineData(OptimizerKind.Adamw, ComputeDtype.Float32, true)]
    public void Run_TwoThousandSteps_LeavesNoTensorBehindAndDoesNotGrow(OptimizerKind optim, ComputeDtype dtype, bool hasAdapters)
    {
        var options = TrainerTests.Options with
        {
            MaxSteps = Warmup + Steps,
            SaveSteps = 100,
            BatchTokens = TokensPerStep,
            MicroBatchTokens = hasAdapters ? TokensPerStep : TokensPerStep / 2,
            Optim = optim,
            ComputeDtype = dtype,
        };
        ProcessMemory.Collect(); // what other tests left to finalizers
        var tensors = torch.Tensor.TotalCount;
        var memory = new MemoryAt(Warmup, Warmup + Steps);

        TrainerTests.Train(options, observer: memory, trained: hasAdapters ? model => TrainerTests.Adapters(model, useDora: true) : null);

        Assert.InRange(memory.Bytes[1] - memory.Bytes[0], long.MinValue, Allowed);
        Assert.Equal(memory.Tensors[0], memory.Tensors[1]);
        Assert.Equal(tensors, torch.Tensor.TotalCount);
    }

    /// <summary>Notes what the process holds after given steps.</summary>
    sealed class MemoryAt(params long[] steps) : IRunObserver
    {
        public List<long> Bytes { get; } = [];

        public List<long> Tensors { get; } = [];

        public void Progress(string activity, long done, long? total, string unit, string? note = null)
        {
            if (steps.Contains(done))
            {
                Tensors.Add(torch.Tensor.TotalCount); // before finalizers free what was forgotten
                Bytes.Add(ProcessMemory.Resident());
            }
        }

        public void Metrics(long step, IReadOnlyDictionary<string, double> values) { }

        public void Message(string text) { }
    }
}
