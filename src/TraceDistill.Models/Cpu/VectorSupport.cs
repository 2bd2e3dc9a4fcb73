using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TraceDistill.Models.Cpu;

/// <summary>The vector instructions that this process may use: the processor's, less those that the environment switches off.</summary>
public static class VectorSupport
{
    /// <summary>Bits of the widest vectors that are fast here.</summary>
    public static int Bits => Vector512.IsHardwareAccelerated ? 512 : 8 * Vector<byte>.Count;

    /// <summary>A line for the start of a training or a server where vectors are too narrow for good speed; null elsewhere.</summary>
    public static string? Warning =>
        Avx2.IsSupported || RuntimeInformation.ProcessArchitecture == Architecture.Arm64
            ? null
            : "no vectors of 256 bits here (AVX2 is missing, or switched off by "
                + "DOTNET_EnableAVX2=0): training and generation take several times as long";
}
