using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// N = tokens of all sequences, B = sequences, T = tokens of the longest, H = query heads, G = key heads, d = channels of a head, W = (H + 2·G)·d

/// <summary>
/// Rotary positions (Su et al., arXiv 2104.09864) and causal attention of queries to the keys of their own sequence; G may be smaller than H
/// (grouped-query attention, Ainslie et al., arXiv 2305.13245).
/// </summary>
/// <remarks>No T × T matrix exists: neither in the CPU's kernels nor in libtorch's scaled_dot_product_attention. One object serves one thread.</remarks>
sealed class RotaryAttention(ModelConfiguration configuration) : IDisposable
{
    readonly ModelConfiguration _configuration = configuration;
    readonly AttentionKernel _attention = new(configuration);
    readonly RotaryKernel _rotary = new(configuration);
    readonly RotaryFrequencies _frequencies = RotaryFrequencies.Of(configuration);

    /// <param name="qkv">[N, W] query heads, key heads, value heads; used up.</param>
    /// <param name="batch">Where sequences begin and end.</param>
    /// <param name="firstQueries">Position in each sequence before which results are not wanted, and may be anything.</param>
    /// <returns>[N, H·d].</returns>
    public Tensor Apply(Tensor qkv, TokenBatch batch, int[] firstQueries)
    {
        using var scope = NewDisposeScope();
        return (CustomGradient.TakesKernels(qkv) ? Kernel.apply(qkv, this, batch, firstQueries) : Plain(qkv, batch)).MoveToOuterDisposeScope();
    }

    public void Dispose() => _attention.Dispose();

    Tensor Plain(Tensor qkv, TokenBatch batch)
    {
        int heads = _configuration.NumAttentionHeads, keyHeads = _configuration.NumKeyValueHeads, d = _configuration.HeadDim;
        long count = batch.Lengths.Length, longest = batch.Lengths.Max();
        var rows = Rows(batch, qkv.device);                                                       // [B·T] in [0, N], N for filling
        var isFull = longest * count == batch.Ids.Length;
        var padded = isFull ? qkv : cat([qkv, zeros(1, qkv.shape[1], dtype: qkv.dtype, device: qkv.device)]).index_select(0, rows);
        var all = padded.reshape(count, longest, heads + 2 * keyHeads, d).transpose(1, 2);       // [B, H + 2·G, T, d]
        var rotated = Rotate(all.narrow(1, 0, heads + keyHeads));
        var (q, k, v) = (rotated.narrow(1, 0, heads), rotated.narrow(1, heads, keyHeads), all.narrow(1, heads + keyHeads, keyHeads));
        if (keyHeads != heads)
        {
            k = k.repeat_interleave(heads / keyHeads, 1);
            v = v.repeat_interleave(heads / keyHeads, 1);
        }

        // Filling lies behind each sequence, where no query of the sequence looks.
        var output = nn.functional.scaled_dot_product_attention(q, k, v, is_casual: true).transpose(1, 2).reshape(count * longest, heads * d);
        return isFull ? output : output.index_select(0, Places(batch, longest, qkv.device));
    }

    /// <param name="heads">[B, H + G, T, d].</param>
    Tensor Rotate(Tensor heads)
    {
        var half = _configuration.HeadDim / 2;
        var angles = outer(arange(heads.shape[2], dtype: ScalarType.Float64), tensor(_frequencies.Angles));
        var (cosine, sine) = (Table(angles.cos()), Table(angles.sin()));
        var (low, high) = (heads.narrow(3, 0, half), heads.narrow(3, half, half));
        return cat([low * cosine - high * sine, (high * cosine).Plus(low * sine)], 3);

        Tensor Table(Tensor values) => values.Times(_frequencies.Magnitude).to(heads.dtype).to(heads.device);
    }

    static Tensor Rows(TokenBatch batch, Device device)
    {
        var (count, longest) = (batch.Lengths.Length, batch.Lengths.Max());
        var rows = new long[count * longest];
        Array.Fill(rows, batch.Ids.Length);
        var first = 0L;
        for (var i = 0; i < count; i++)
        {
            for (var t = 0; t < batch.Lengths[i]; t++)
            {
                rows[i * longest + t] = first++;
            }
        }

        return tensor(rows, device: device);
    }

    static Tensor Places(TokenBatch batch, long longest, Device device) =>
        tensor(batch.Lengths.SelectMany((length, i) => Enumerable.Range(0, length).Select(t => i * longest + t)).ToArray(), device: device);

    sealed unsafe class Kernel : SingleTensorFunction<Kernel>
    {
        public override string Name => "rotary_attention";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var pass = new Pass((RotaryAttention)vars[1], (TokenBatch)vars[2], (int[])vars[3]);
            // Nothing else reads what the product wrote: queries and keys are rotated where they are.
            var qkv = (Tensor)vars[0];
            pass.Operation._rotary.Rotate(CustomGradient.Pointer(qkv), pass.Batch.Positions, inverse: false);
            var (output, logSumExp) = (empty(qkv.shape[0], pass.QuerySize), empty(qkv.shape[0], pass.Heads));
            float* x = CustomGradient.Pointer(qkv), y = CustomGradient.Pointer(output), sums = CustomGradient.Pointer(logSumExp);
            foreach (var (first, length, firstQuery) in pass.Sequences())
            {
                pass.Operation._attention.Forward(x + first * pass.Width, y + first * pass.QuerySize, sums + first * pass.Heads, length, firstQuery);
            }

            ctx.save_for_backward([qkv, output, logSumExp]);
            ctx.save_data("pass", pass);
            return output;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var pass = (Pass)ctx.get_data("pass");
            return CustomGradient.Of(ctx, gradOutput, 4, (saved, dy) =>
            {
                var (qkv, output, logSumExp) = (saved[0], saved[1], saved[2]);
                var gradient = empty_like(qkv);
                float* x = CustomGradient.Pointer(qkv), y = CustomGradient.Pointer(output), sums = CustomGradient.Pointer(logSumExp);
                float* slopes = CustomGradient.Pointer(dy), dx = CustomGradient.Pointer(gradient);
                foreach (var (first, length, firstQuery) in pass.Sequences())
                {
                    pass.Operation._attention.Backward(
                        x + first * pass.Width, y + first * pass.QuerySize, sums + first * pass.Heads, slopes + first * pass.QuerySize, dx + first * pass.Width,
                        length, firstQuery);
                }

                pass.Operation._rotary.Rotate(dx, pass.Batch.Positions, inverse: true);
                return [gradient, null, null, null];
            });
        }
    }

    sealed record Pass(RotaryAttention Operation, TokenBatch Batch, int[] FirstQueries)
    {
        ModelConfiguration Configuration => Operation._configuration;

        public int Heads => Configuration.NumAttentionHeads;

        public int QuerySize => Configuration.QuerySize;

        public int Width => Configuration.QuerySize + 2 * Configuration.KeyValueSize;

        public IEnumerable<(long First, int Length, int FirstQuery)> Sequences()
        {
            var first = 0L;
            for (var i = 0; i < Batch.Lengths.Length; first += Batch.Lengths[i++])
            {
                yield return (first, Batch.Lengths[i], FirstQueries[i]);
            }
        }
    }
}
