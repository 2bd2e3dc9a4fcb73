using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TraceDistill.Models.Native;

/// <summary>The memory of CUDA devices, asked of their driver: TorchSharp has no call for it.</summary>
public static partial class CudaMemory
{
    /// <summary>The driver's library on Linux.</summary>
    const string Driver = "libcuda.so.1";

    /// <summary>Bytes of memory that a CUDA device has, in use or not; null where the driver does not tell, as on Windows.</summary>
    public static long? Total(Device device)
    {
        try
        {
            // Devices are counted as libtorch does, by what CUDA_VISIBLE_DEVICES leaves.
            return Initialize(0) == 0 && GetDevice(out var handle, Math.Max(device.index, 0)) == 0 && GetTotal(out var bytes, handle) == 0
                ? (long)bytes
                : null;
        }
        catch (Exception absent) when (absent is DllNotFoundException or EntryPointNotFoundException)
        {
            return null;
        }
    }

    // CUDA Driver API, sections "Initialization" and "Device Management"; 0 is success.
    [LibraryImport(Driver, EntryPoint = "cuInit")]
    private static partial int Initialize(uint flags);

    [LibraryImport(Driver, EntryPoint = "cuDeviceGet")]
    private static partial int GetDevice(out int device, int ordinal);

    [LibraryImport(Driver, EntryPoint = "cuDeviceTotalMem_v2")]
    private static partial int GetTotal(out nuint bytes, int device);
}
