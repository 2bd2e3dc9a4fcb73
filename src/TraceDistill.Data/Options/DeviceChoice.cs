using System.Globalization;

namespace TraceDistill.Data.Options;

/// <summary>Options of a stage that computes with tensors.</summary>
public interface IDeviceOptions
{
    /// <summary>Where it computes; null where these options have it compute nothing here.</summary>
    DeviceChoice? Device { get; }

    /// <summary>Where else it computes; <c>auto</c> is not among them.</summary>
    IEnumerable<DeviceChoice> FurtherDevices => [];
}

/// <summary>The device that a stage computes on: <c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>, as PyTorch names them.</summary>
/// <param name="Kind">The word before the colon.</param>
/// <param name="Index">N, from 0; null where none is given.</param>
public sealed record DeviceChoice(string Kind, int? Index = null) : IParsable<DeviceChoice>
{
    public const string AutoWord = "auto",
        CpuWord = "cpu",
        CudaWord = "cuda";

    /// <summary>A GPU where there is one, else the CPU.</summary>
    public static DeviceChoice Auto { get; } = new(AutoWord);

    /// <exception cref="FormatException">None of the devices that there are names for.</exception>
    public static DeviceChoice Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var choice)
            ? choice
            : throw new FormatException($"must be {AutoWord}, {CpuWord}, {CudaWord} or {CudaWord}:N with N from 0; found \"{s}\"");

    public static bool TryParse(string? s, IFormatProvider? provider, out DeviceChoice result)
    {
        result = Auto;
        switch (s?.Split(':'))
        {
            case [(AutoWord or CpuWord or CudaWord) and var kind]:
                result = new DeviceChoice(kind);
                return true;
            case [CudaWord, var digits] when int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var index):
                result = new DeviceChoice(CudaWord, index);
                return true;
            default:
                return false;
        }
    }

    /// <summary>As it is written in a recipe.</summary>
    public override string ToString() => Index is { } index ? string.Create(CultureInfo.InvariantCulture, $"{Kind}:{index}") : Kind;
}
