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

    /// <summary>Those that stages name which are running or about to: others take them last.</summary>
    HashSet<string> _named = [];

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
    public string? Shortage(PlannedStage stage, IReadOnlyList<PlannedStage> running)
    {
        lock (_free)
        {
            _named = [.. running.Append(stage).SelectMany(NamedBy).Select(index => names[index])];
            // One that was started just now may not have taken its GPU yet.
            var byName = running.SelectMany(NamedBy).ToHashSet();
            var used = running.Count(IsPlaced) + byName.Count;
            if (NamedBy(stage) is { Count: > 0 } own)
            {
                var isTaken = own.Any(byName.Contains) || (running.Any(IsPlaced) && own.Any(index => !_free.Contains(names[index])));
                var told = string.Join(" and ", own.Select(index => $"{DeviceChoice.CudaWord}:{index}"));
                return !isTaken && used + own.Count <= names.Count ? null
                    : own.Count == 1 ? $"its GPU, {told}, which another stage uses"
                    : $"its GPUs, {told}, one of which another stage uses";
            }

            return IsPlaced(stage) && used >= names.Count
                ? $"a GPU: {(names.Count == 1 ? "the one here is" : $"all {names.Count} are")} in use"
                : null;
        }
    }

    /// <summary>
    /// Takes a GPU for a stage, to be given back when it has ended; null for one that needs none or names its own, or where all are taken.
    /// </summary>
    public string? Take(PlannedStage stage)
    {
        lock (_free)
        {
            if (!IsPlaced(stage) || _free.Count == 0)
            {
                return null;
            }

            var taken = _free.Find(name => !_named.Contains(name)) ?? _free[0];
            _free.Remove(taken);
            return taken;
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
    /// True for a stage whose GPU this pool chooses: there are GPUs, and its devices name none of them, nor all of them the CPU.
    /// </summary>
    bool IsPlaced(PlannedStage stage) => names.Count > 0 && NamedBy(stage).Count == 0 && DevicesOf(stage).Any(IsAnyGpu);

    /// <summary>
    /// The numbers of the GPUs that a stage's devices name. It sees all of them then: a device that is any GPU is the first one.
    /// </summary>
    SortedSet<int> NamedBy(PlannedStage stage)
    {
        var devices = DevicesOf(stage).ToList();
        var named = devices.Where(device => device.Kind == DeviceChoice.CudaWord && device.Index < names.Count);
        SortedSet<int> indices = [.. named.Select(device => device.Index!.Value)];
        return indices.Count > 0 && devices.Exists(IsAnyGpu) ? [0, .. indices] : indices;
    }

    static bool IsAnyGpu(DeviceChoice device) => device is { Kind: not DeviceChoice.CpuWord, Index: null };

    static IEnumerable<DeviceChoice> DevicesOf(PlannedStage stage) =>
        stage.Options is IDeviceOptions { Device: { } device } options ? [device, .. options.FurtherDevices] : [];
}
