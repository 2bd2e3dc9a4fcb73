namespace TraceDistill.Models.Cpu;

/// <summary>
/// The switch between the kernels of this folder and libtorch's own operations, which are what every other device computes with.
/// </summary>
static class CpuKernels
{
    /// <summary>Set to 0, makes the CPU compute as any other device does: to find out which of the two a difference comes from.</summary>
    public const string Variable = "TRACEDISTILL_CPU_KERNELS";

    /// <summary>True where the CPU computes with kernels of its own. Set by a benchmark alone, which compares the two.</summary>
    public static bool AreUsed { get; set; } = Environment.GetEnvironmentVariable(Variable) != "0";
}
