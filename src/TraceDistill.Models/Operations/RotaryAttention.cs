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
/// <remarks>
/// No T × T matrix exists: neither in the CPU's kernels nor in libtorch's scaled_dot_product_attention nor in <see cref="ChunkedAttention"/>. One object serves
/// one thread.
/// </remarks>
/// <param name="configuration">The model's.</param>
/// <param name="kind">What the layers that it serves have of their own.</param>
sealed class RotaryAttention(ModelConfiguration configuration, LayerAttention kind) : IDisposable
{
    readonly ModelConfiguration _configuration = configuration;
    readonly LayerAttention _kind = kind;
    readonly AttentionKernel _attention = new(configuration, kind.Window);
    readonly RotaryKernel _rotary = new(configuration, kind.IsLocal);

    /// <summary>Of sequences that are long, where these have frequencies of their own.</summary>
    readonly RotaryKernel? _longRotary = configuration.RopeScaling.Type == RopeType.LongRope ? new(configuration, kind.IsLocal, isLong: true) : null;

    /// <param name="qkv">[N, W] query heads, key heads, value heads; used up.</param>
    /// <param name="batch">Where sequences begin and end.</param>
    /// <param name="firstQueries">Position in each sequence before which results are not wanted, and may be anything.</param>
    /// <returns>[N, H·d].</returns>
    public Tensor Apply(Tensor qkv, TokenBatch batch, int[] firstQueries)
    {
        using var scope = NewDisposeScope();
        return (CustomGradient.TakesKernels(qkv) ? Kernel.apply(qkv, this, batch, firstQueries) : Plain(qkv, batch)).MoveToOuterDisposeScope();
    }

    /// <summary>The weights of attention, in plain operations.</summary>
    /// <param name="qkv">[N, W].</param>
    /// <returns>For each sequence [H, T, T].</returns>
    public IEnumerable<Tensor> Maps(Tensor qkv, TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        int heads = _configuration.NumAttentionHeads, keyHeads = _configuration.NumKeyValueHeads;
        var (maps, first) = (new List<Tensor>(), 0L);
        foreach (var length in batch.Lengths)
        {
            var all = qkv.narrow(0, first, length).reshape(1, length, -1, _configuration.HeadDim).transpose(1, 2);
            var rotated = Rotate(all.narrow(1, 0, heads + keyHeads), [length]).squeeze(0);        // [H + G, T, d]
            var keys = rotated.narrow(0, heads, keyHeads).repeat_interleave(heads / keyHeads, 0);
            var scores = rotated.narrow(0, 0, heads).matmul(keys.transpose(1, 2)).Times(_configuration.AttentionScale);
            scores = _configuration.AttentionSoftCap is { } cap ? scores.Times(1 / cap).tanh().Times(cap) : scores;
            var seen = ones(length, length, dtype: ScalarType.Bool, device: qkv.device).tril();
            seen = _kind.Window is { } window ? seen.triu(1 - window) : seen;
            maps.Add(scores.NegativeInfinityWhere(seen.logical_not()).softmax(-1).MoveToOuterDisposeScope());
            first += length;
        }

        return maps;
    }

    public void Dispose() => _attention.Dispose();

    /// <summary>Rotates queries and keys in place, or back.</summary>
    unsafe void Rotate(float* qkv, TokenBatch batch, bool inverse)
    {
        if (!_kind.IsRotated)
        {
            return;
        }

        if (_longRotary is null)
        {
            _rotary.Rotate(qkv, batch.Positions, inverse);
            return;
        }

        var first = 0;
        foreach (var length in batch.Lengths)
        {
            var rotary = _configuration.IsLong(length) ? _longRotary : _rotary;
            rotary.Rotate(qkv + (long)first * (_configuration.QuerySize + 2 * _configuration.KeyValueSize), batch.Positions.AsSpan(first, length), inverse);
            first += length;
        }
    }

    Tensor Plain(Tensor qkv, TokenBatch batch)
    {
        int heads = _configuration.NumAttentionHeads, keyHeads = _configuration.NumKeyValueHeads, d = _configuration.HeadDim;
        long count = batch.Lengths.Length, longest = batch.Lengths.Max();
        var rows = Rows(batch, qkv.device);                                                       // [B·T] in [0, N], N for filling
        var isFull = longest * count == batch.Ids.Length;
        var padded = isFull ? qkv : cat([qkv, zeros(1, qkv.shape[1], dtype: qkv.dtype, device: qkv.device)]).index_select(0, rows);
        var all = padded.reshape(count, longest, heads + 2 * keyHeads, d).transpose(1, 2);       // [B, H + 2·G, T, d]
        var rotated = Rotate(all.narrow(1, 0, heads + keyHeads), batch.Lengths);
        var (q, k, v) = (rotated.narrow(1, 0, heads), rotated.narrow(1, heads, keyHeads), all.narrow(1, heads + keyHeads, keyHeads));
        // Filling lies behind each sequence, where no query of the sequence looks.
        var output = Attend(q, k, v).transpose(1, 2).reshape(count * longest, heads * d);
        return isFull ? output : output.index_select(0, Places(batch, longest, qkv.device));
    }

    /// <param name="q">[B, H, T, d].</param>
    /// <param name="k">[B, G, T, d].</param>
    /// <param name="v">[B, G, T, d].</param>
    Tensor Attend(Tensor q, Tensor k, Tensor v)
    {
        var (group, scale) = (_configuration.NumAttentionHeads / _configuration.NumKeyValueHeads, _configuration.AttentionScale);
        var window = _kind.Window < q.shape[2] ? _kind.Window : null;
        if (window is not null || _configuration.AttentionSoftCap is not null)
        {
            return ChunkedAttention.Apply(q.contiguous(), k.contiguous(), v.contiguous(), scale, _configuration.AttentionSoftCap, window);
        }

        (k, v) = group == 1 ? (k, v) : (k.repeat_interleave(group, 1), v.repeat_interleave(group, 1));
        // TorchSharp's has no scale of its own: it divides by √d.
        q = _configuration.QueryPreAttnScalar is null ? q : q.Times(scale * Math.Sqrt(_configuration.HeadDim));
        return nn.functional.scaled_dot_product_attention(q, k, v, is_casual: true);
    }

    /// <param name="heads">[B, H + G, T, d].</param>
    /// <param name="lengths">[B] of the sequences.</param>
    Tensor Rotate(Tensor heads, int[] lengths)
    {
        if (!_kind.IsRotated)
        {
            return heads;
        }

        var (half, rest) = (_configuration.RotaryDim / 2, _configuration.HeadDim - _configuration.RotaryDim);
        var (cosine, sine) = Tables(heads, lengths);
        var (low, high) = (heads.narrow(3, 0, half), heads.narrow(3, half, half));
        var (first, second) = (low * cosine - high * sine, (high * cosine).Plus(low * sine));
        return rest == 0 ? cat([first, second], 3) : cat([first, second, heads.narrow(3, 2 * half, rest)], 3);
    }

    /// <returns>[T, r/2] cosines and sines, r being the rotated channels; [B, 1, T, r/2] where sequences differ in them.</returns>
    (Tensor Cosine, Tensor Sine) Tables(Tensor heads, int[] lengths)
    {
        bool[] areLong = [.. lengths.Select(_configuration.IsLong)];
        var tables = areLong.Distinct().ToDictionary(isLong => isLong, isLong =>
        {
            var frequencies = RotaryFrequencies.Of(_configuration, _kind.IsLocal, isLong);
            var angles = outer(arange(heads.shape[2], dtype: ScalarType.Float64), tensor(frequencies.Angles));
            return (Table(angles.cos(), frequencies.Magnitude), Table(angles.sin(), frequencies.Magnitude));
        });
        return tables.Count == 1
            ? tables[areLong[0]]
            : (Stack(areLong.Select(isLong => tables[isLong].Item1)), Stack(areLong.Select(isLong => tables[isLong].Item2)));

        Tensor Table(Tensor values, double magnitude) => values.Times(magnitude).to(heads.dtype).to(heads.device);

        static Tensor Stack(IEnumerable<Tensor> tables) => stack([.. tables]).unsqueeze(1);
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
            pass.Operation.Rotate(CustomGradient.Pointer(qkv), pass.Batch, inverse: false);
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

                pass.Operation.Rotate(dx, pass.Batch, inverse: true);
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
