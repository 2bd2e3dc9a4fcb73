using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using TorchSharp;
using TraceDistill.Models.Cpu;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

/// <summary>Common part of the gradients of custom autograd functions: who frees which tensor, and what becomes of an exception.</summary>
static class CustomGradient
{
    /// <summary>
    /// Of passes over another device, whose functions libtorch calls on a thread of its own for that device: their caller's thread has no
    /// other way to learn of them. One pass at a time uses a device (<c>GradientWorkers</c> has one lane there).
    /// </summary>
    static readonly ConcurrentQueue<Exception> DeviceFailures = [];

    /// <summary>
    /// Of the pass that runs on this thread: libtorch walks the CPU's part of a graph on its caller's thread, so that passes
    /// on several threads know nothing of each other.
    /// </summary>
    [ThreadStatic]
    static Exception? _failure;

    [ThreadStatic]
    static List<Tensor>? _handedOver;

    /// <summary>Computes the gradients of one function's inputs.</summary>
    /// <param name="context">The function's; what it saved is released.</param>
    /// <param name="outputGradient">The gradient of its output; released unless it is one of the results.</param>
    /// <param name="inputs">Number of the function's arguments.</param>
    /// <param name="gradients">
    /// From the saved tensors and a contiguous output gradient to the gradients of the
    /// arguments, null for those that have none. Gradients are not recorded in it.
    /// </param>
    /// <remarks>
    /// libtorch takes a reference of its own to what is returned, but only after the return: this thread's next function frees them.
    /// An exception must not pass through libtorch's frames: it is kept for <see cref="Finish"/>, and the pass ends without gradients.
    /// </remarks>
    public static List<Tensor> Of(
        AutogradContext context,
        Tensor outputGradient,
        int inputs,
        Func<List<Tensor>, Tensor, Tensor?[]> gradients
    )
    {
        Tensor?[] results;
        try
        {
            using var scope = NewDisposeScope();
            results = gradients(context.get_saved_variables(), outputGradient.contiguous());
            foreach (var result in results)
            {
                result?.DetachFromDisposeScope();
            }
        }
        catch (Exception error)
        {
            Keep(error, outputGradient.device_type);
            results = new Tensor?[inputs];
        }
        finally
        {
            context.Dispose();
        }

        Release();
        _handedOver = [.. results.OfType<Tensor>()];
        outputGradient.Dispose();
        return [.. results.Select(result => result!)];
    }

    /// <summary>To be called after every backward pass, on its thread.</summary>
    /// <exception cref="Exception">What a custom function threw in it.</exception>
    public static void Finish()
    {
        Release();
        var error = _failure;
        _failure = null;
        if (error is null && DeviceFailures.TryDequeue(out error))
        {
            DeviceFailures.Clear();
        }

        if (error is not null)
        {
            ExceptionDispatchInfo.Throw(error);
        }
    }

    /// <summary>Keeps the first of a pass: what follows it is its consequence.</summary>
    static void Keep(Exception error, DeviceType device)
    {
        if (device == DeviceType.CPU)
        {
            _failure ??= error;
        }
        else
        {
            DeviceFailures.Enqueue(error);
        }
    }

    static void Release()
    {
        _handedOver?.ForEach(tensor => tensor.Dispose());
        _handedOver = null;
    }

    /// <summary>Returns whether the kernels of the CPU take a tensor.</summary>
    public static bool TakesKernels(Tensor tensor) =>
        CpuKernels.AreUsed && tensor.dtype == ScalarType.Float32 && tensor.device_type == DeviceType.CPU;

    /// <summary>Where a contiguous float32 tensor's values begin; valid while the tensor lives.</summary>
    public static unsafe float* Pointer(Tensor tensor) => new TensorMemory<float>(tensor).Pointer;
}
