using TorchSharp;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Models.Export.Quantization;

// N = blocks, G = groups of a block

/// <summary>
/// Rounds a matrix to values that blocks of a GGUF type hold, in tensor operations that give the same bits on every device. What comes
/// out is encoded without a change: by <see cref="GgmlTypes.Encode"/>, and by llama.cpp's own quantiser but for Q6_K.
/// </summary>
/// <param name="Type">F16, Q8_0, Q4_0 or Q6_K.</param>
/// <param name="Factor">What the export multiplies the matrix by.</param>
sealed record BlockRounding(GgmlType Type, float Factor = 1)
{
    const int BlockSize = 32;
    const int SuperBlockSize = 256;
    const int GroupSize = 16;

    /// <summary>Weights that are rounded at once: they stay in the cache of a core from one operation to the next.</summary>
    const long PartElements = 1 << 16;

    /// <summary>The same for other devices, which take long to be called.</summary>
    const long DevicePartElements = 1 << 24;

    // Kept: the collector may free one that a call makes while it runs.
    static readonly Scalar MostOf4Bits = 7.0,
        LeastOf6Bits = -32.0,
        MostOf6Bits = 31.0,
        LeastOf8Bits = -128.0,
        MostOf8Bits = 127.0;

    /// <summary>Rounds in place, on the thread's idle cores too.</summary>
    /// <param name="matrix">[rows, columns] in float32, contiguous.</param>
    public void Apply(Tensor matrix)
    {
        var (rows, columns) = (matrix.shape[0], matrix.shape[1]);
        var most = Math.Max(1, (matrix.device_type == DeviceType.CPU ? PartElements : DevicePartElements) / columns);
        Cores.For((int)((rows + most - 1) / most), part =>
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            Round(matrix.narrow(0, part * most, Math.Min(most, rows - part * most)));
        });
    }

    void Round(Tensor rows)
    {
        var x = Factor == 1 ? rows : rows.Times(Factor);
        var rounded = Type switch
        {
            GgmlType.F16 => Half(x),
            GgmlType.Q8_0 => Q8(x.reshape(-1, BlockSize)),
            GgmlType.Q4_0 => Q4(x.reshape(-1, BlockSize)),
            GgmlType.Q6_K => Q6(x.reshape(-1, SuperBlockSize)),
            _ => throw new ArgumentOutOfRangeException(nameof(rows), Type, "no training rounds to this type"),
        };
        rounded = rounded.view_as(rows);
        rows.copy_(Factor == 1 ? rounded : rounded.div(tensor([Factor], device: rows.device)));
    }

    /// <summary>
    /// d = max|x| / 127, q = x / d rounded half away from zero: <c>quantize_row_q8_0_ref</c> of ggml-quants.c.
    /// </summary>
    /// <param name="x">[N, 32].</param>
    static Tensor Q8(Tensor x)
    {
        // A tensor, not a number: some devices multiply by the reciprocal of a number.
        var scale = x.abs().amax([1], keepdim: true).div(tensor([127f], device: x.device)); // [N, 1]
        var steps = x.mul(scale.reciprocal());
        var whole = steps.trunc();
        return Values(Half(scale), whole.Plus(steps.sub(whole).Times(2).trunc()));
    }

    /// <summary>
    /// d = x_m / −8, where x_m is the first value of the largest magnitude, q = ⌊x / d + 8.5⌋ − 8, at most 7:
    /// <c>quantize_row_q4_0_ref</c> of ggml-quants.c. The largest value is −8 steps, so that its block has the same d again.
    /// </summary>
    /// <param name="x">[N, 32].</param>
    static Tensor Q4(Tensor x)
    {
        var scale = Peak(x).Value.Times(-1.0 / 8); // [N, 1]
        return Values(Half(scale), x.mul(scale.reciprocal()).Plus(8.5).floor().Plus(-8).clamp(null, MostOf4Bits));
    }

    /// <summary>
    /// With the largest value x_m of a block and x_g of a group, d = x_m / 4096, s_g = x_g / (−32 · d) to the nearest whole number and −128
    /// for the group of x_m, q = x / (d · s_g) to the nearest. llama.cpp searches for scales about these; without the search
    /// <see cref="Q6K"/> finds them again by the scale of −128.
    /// </summary>
    /// <param name="x">[N, 256].</param>
    static Tensor Q6(Tensor x)
    {
        var (peak, place) = Peak(x); // [N, 1]
        var unit = Half(peak.Times(1.0 / 4096));
        var isZero = unit.IsZero();
        var groups = x.view(-1, SuperBlockSize / GroupSize, GroupSize); // [N, G, 16]
        var peaks = Peak(groups).Value.squeeze(2); // [N, G]
        var scales = peaks.Times(-1.0 / 32).div(unit).ZeroWhere(isZero).round().clamp(LeastOf8Bits, MostOf8Bits);
        var group = place.div(tensor([(long)GroupSize], device: x.device), RoundingMode.floor); // [N, 1]
        scales = scales.scatter(1, group, full_like(peak, LeastOf8Bits));
        var steps = unit.mul(scales).unsqueeze(2); // [N, G, 1]
        return Values(steps, groups.div(steps).round().clamp(LeastOf6Bits, MostOf6Bits));
    }

    /// <summary>d · q; 0 where d is, whatever q came to.</summary>
    static Tensor Values(Tensor scale, Tensor codes) => codes.ZeroWhere(scale.IsZero()).mul(scale);

    /// <summary>The first value of the largest magnitude along the last dimension, and where it is.</summary>
    static (Tensor Value, Tensor Place) Peak(Tensor x)
    {
        var place = x.abs().argmax(x.dim() - 1, keepdim: true);
        return (x.gather(x.dim() - 1, place), place);
    }

    static Tensor Half(Tensor x) => x.to(ScalarType.Float16).to(ScalarType.Float32);
}
