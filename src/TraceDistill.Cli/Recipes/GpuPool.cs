using System.Globalization;
using TraceDistill.Data.Options;
using TraceDistill.Models.Native;

namespace TraceDistill.Cli.Recipes;

/// <summary>The GPUs of this machine, of which each stage that runs beside others has one for itself.</summary>
/// <param name="names">As CUDA_VISIBLE_DEVICES names them; none where stages compute on the CPU.</param>
sealed class GpuPool(IReadOnlyList<string> names)
{
    /// <summary>Which GPUs a process sees.</summary>
    public const string Variable = "CUDA_VISIBLE_DEVICES";

    readonly List<string> _free = [.. names];

    /// <summary>Those that this process sees.</summary>
    public static GpuPool OfThisMachine()
    {
        var count = Devices.CudaDevices;
        string[] told = Environment
            .GetEnvironmentVariable(Variable)
            ?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            ?? [];
        return new GpuPool(
            told.Length > 0
                ? [.. told.Take(count)]
                : [.. Enumerable.Range(0, count).Select(index => index.ToString(CultureInfo.InvariantCulture))]
        );
    }

    /// <summary>
    /// The missing GPU of a stage that is to start beside others, as the end of "waits for …"; null where one is free, or it needs none.
    /// </summary>
    public string? Shortage(PlannedStage stage, IEnumerable<PlannedStage> running) =>
        IsPlaced(stage) && running.Count(IsPlaced) >= names.Count
            ? $"a GPU: {(names.Count == 1 ? "the one here is" : $"all {names.Count} are")} in use"
            : null;

    /// <summary>
    /// Takes a GPU for a stage, to be given back when it has ended; null for one that needs none, or where all are taken.
    /// </summary>
    public string? Take(PlannedStage stage)
    {
        lock (_free)
        {
            if (!IsPlaced(stage) || _free.Count == 0)
            {
                return null;
            }

            var first = _free[0];
            _free.RemoveAt(0);
            return first;
        }
    }

    /// <summary>Gives back what <see cref="Take"/> gave.</summary>
    public void Return(string? gpu)
    {
        lock (_free)
        {
            if (gpu is not null)
            {
                _free.Add(gpu);
            }
        }
    }

    /// <summary>
    /// True for a stage whose GPU this pool chooses: there are GPUs, and its <c>device</c> names neither one of them nor the CPU.
    /// </summary>
    bool IsPlaced(PlannedStage stage) =>
        names.Count > 0 && stage.Options is IDeviceOptions { Device: { Kind: not DeviceChoice.CpuWord, Index: null } };
}
