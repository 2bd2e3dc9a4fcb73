using TorchSharp;
using TraceDistill.Data.Options;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;

namespace TraceDistill.Inference;

/// <summary>Where a <see cref="GenerationEngine"/> computes, and how much of the machine it uses.</summary>
public sealed record EngineOptions
{
    /// <summary>Of <see cref="CacheBytes"/>: 512 MiB.</summary>
    public const long DefaultCacheBytes = 512L << 20;

    /// <value>The CPU.</value>
    public DeviceChoice Device { get; init; } = new(DeviceChoice.CpuWord);

    /// <value>One worker for each processor.</value>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <value>64 sequences at a time; more wait their turn.</value>
    public int MaxRunning { get; init; } = 64;

    /// <summary>Memory for keys and values; a sequence starts when there is room for its whole possible length.</summary>
    /// <value>512 MiB, committed as it is first used.</value>
    public long CacheBytes { get; init; } = DefaultCacheBytes;

    /// <summary>
    /// Tokens of a sequence, its prompt included, that must fit: where <see cref="CacheBytes"/> has no room for it, the cache is larger.
    /// </summary>
    /// <value>0: none.</value>
    public int LongestSequence { get; init; }

    /// <summary>Prompt tokens that one step takes in beside the running sequences; longer prompts take several steps.</summary>
    /// <value>64.</value>
    public int PromptTokensPerStep { get; init; } = 64;

    /// <value>None: all tokens go through all layers.</value>
    public EarlyExit? EarlyExit { get; init; }

    /// <summary>True where the CPU too computes with the <see cref="Decoder"/>, as a GPU does: to compare the two.</summary>
    /// <value>False, but where <c>TRACEDISTILL_CPU_KERNELS</c> is 0.</value>
    public bool UsesDecoder { get; init; } = !CpuKernels.AreUsed;

    /// <summary>A GPU takes in more of a prompt at once.</summary>
    internal EngineOptions For(Device device) =>
        device.type == DeviceType.CPU ? this : this with { PromptTokensPerStep = Math.Max(PromptTokensPerStep, 2_048) };
}
