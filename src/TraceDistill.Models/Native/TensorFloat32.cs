using static TorchSharp.torch;

namespace TraceDistill.Models.Native;

/// <summary>
/// A stretch of time in which products of float32 on a GPU may read ten bits of their inputs (TF32), which is several times faster. The
/// switch is the whole process's: what needs float32 as it is, such as the router of experts, is computed before it or after.
/// </summary>
public sealed class TensorFloat32 : IDisposable
{
    readonly bool _before = backends.cuda.matmul.allow_tf32;

    public TensorFloat32() => backends.cuda.matmul.allow_tf32 = true;

    public void Dispose() => backends.cuda.matmul.allow_tf32 = _before;
}
