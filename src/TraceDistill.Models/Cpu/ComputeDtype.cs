using System.Runtime.Intrinsics.X86;
using TorchSharp;
using TraceDistill.Models.Native;
using static TorchSharp.torch;

namespace TraceDistill.Models.Cpu;

/// <summary>
/// Precision of the matrix products, and on a GPU of what lies between those of the layers; weights,
/// norms, logits, loss and optimizer are always float32.
/// </summary>
public enum ComputeDtype
{
    Float32,

    /// <summary>
    /// Inputs rounded to bfloat16, sums in float32. On a processor: twice as fast where the processor multiplies bfloat16 (AVX512-BF16,
    /// AMX). Where it does not, imitating it would be ten times slower than float32, so that a training takes float32 there.
    /// </summary>
    BFloat16,

    /// <summary>Bfloat16 where the device multiplies it faster, else float32.</summary>
    Auto,
}

/// <summary>Types that a processor can compute with.</summary>
public static class ComputeDtypes
{
    /// <summary>
    /// Bit 5 of EAX of CPUID leaf 7, subleaf 1 (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID).
    /// </summary>
    const int Avx512BFloat16 = 1 << 5;

    /// <summary>True where this processor multiplies bfloat16; every processor with AMX has AVX512-BF16 too.</summary>
    public static bool MultipliesBFloat16 { get; } = Avx512F.IsSupported && (X86Base.CpuId(7, 1).Eax & Avx512BFloat16) != 0;

    /// <summary>The precision to compute in on a device where <paramref name="dtype"/> is asked for.</summary>
    public static ComputeDtype On(this ComputeDtype dtype, Device device) =>
        device.type == DeviceType.CPU ? dtype.OnThisProcessor()
        : dtype == ComputeDtype.Auto ? (Devices.MultipliesBFloat16(device) ? ComputeDtype.BFloat16 : ComputeDtype.Float32)
        : dtype;

    /// <summary>The precision to compute in on this processor where <paramref name="dtype"/> is asked for.</summary>
    public static ComputeDtype OnThisProcessor(this ComputeDtype dtype) =>
        dtype != ComputeDtype.Float32 && MultipliesBFloat16 ? ComputeDtype.BFloat16 : ComputeDtype.Float32;
}
