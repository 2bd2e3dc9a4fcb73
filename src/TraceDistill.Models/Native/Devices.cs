using System.Runtime.InteropServices;
using TorchSharp;
using TraceDistill.Data.Options;
using TraceDistill.Text.Errors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Native;

/// <summary>The devices of this machine that libtorch can use.</summary>
public static class Devices
{
    /// <summary>Value of <c>-p:TorchBackend</c> when the program was built: <c>cpu</c> or <c>cuda</c>.</summary>
    public static string Backend => Directory.EnumerateFiles(AppContext.BaseDirectory, "*torch_cuda*").Any() ? "cuda" : "cpu";

    /// <summary>CUDA devices; 0 in a build for the CPU alone, or without a driver.</summary>
    public static int CudaDevices => Backend == "cuda" && cuda.is_available() ? cuda.device_count() : 0;

    /// <summary>The device that a choice means here.</summary>
    /// <exception cref="InvalidInputException">It is not there; the message says how to get it.</exception>
    public static Device Resolve(this DeviceChoice choice)
    {
        if (choice.WhyMissing() is { } missing)
        {
            throw new InvalidInputException(missing);
        }

        return choice.IsCpu(CudaDevices) ? CPU : Cuda(choice.Index ?? 0);
    }

    /// <summary>Returns whether a choice means the CPU here.</summary>
    public static bool IsCpu(this DeviceChoice choice) => choice.IsCpu(CudaDevices);

    internal static bool IsCpu(this DeviceChoice choice, int devices) =>
        choice.Kind == DeviceChoice.CpuWord || (choice.Kind == DeviceChoice.AutoWord && devices == 0);

    /// <summary>Why a choice is not there, and how to get it; null where it is.</summary>
    public static string? WhyMissing(this DeviceChoice choice) => choice.WhyMissing(Backend, CudaDevices);

    /// <param name="choice">The user's choice.</param>
    /// <param name="backend">Backend that the program was built for.</param>
    /// <param name="devices">CUDA devices.</param>
    internal static string? WhyMissing(this DeviceChoice choice, string backend, int devices) =>
        choice.Kind != DeviceChoice.CudaWord ? null
        : backend != "cuda"
            ? $"device {choice}: this program was built for the CPU; build it with -p:TorchBackend=cuda, or take device: auto or cpu"
        : devices == 0
            ? $"device {choice}: no CUDA device is found; look whether nvidia-smi lists one and the driver is new enough, "
                + "or take device: auto or cpu"
        : choice.Index >= devices
            ? $"device {choice}: "
                + (
                    devices == 1
                        ? "the one CUDA device here is cuda:0"
                        : $"there are {devices} CUDA devices here, cuda:0 to cuda:{devices - 1}"
                )
        : null;

    /// <summary>Returns whether a device multiplies bfloat16 clearly faster than float32; measured, once for each device.</summary>
    internal static bool MultipliesBFloat16(Device device) => Measured.GetOrAdd(device.index, _ => MeasureBFloat16(device));

    static readonly System.Collections.Concurrent.ConcurrentDictionary<int, bool> Measured = [];

    static Device Cuda(int index)
    {
        var device = new Device(DeviceType.CUDA, index);
        InitializeDevice(device);
        return device;
    }

    static bool MeasureBFloat16(Device device)
    {
        const int Size = 2_048,
            Products = 5;
        try
        {
            return Seconds(ScalarType.BFloat16) < 0.7 * Seconds(ScalarType.Float32);
        }
        catch (ExternalException)
        {
            return false;
        }

        double Seconds(ScalarType dtype)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            var x = ones(Size, Size, dtype: dtype, device: device);
            var best = double.PositiveInfinity;
            for (var i = 0; i <= Products; i++)
            {
                cuda.synchronize(device);
                var start = System.Diagnostics.Stopwatch.GetTimestamp();
                _ = x.matmul(x);
                cuda.synchronize(device);
                best = i == 0 ? best : Math.Min(best, System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            return best;
        }
    }
}
