using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// N = tokens of all sequences, B = sequences of a group, T = tokens of its longest, H = query
// heads, G = key heads, d = channels of a head, W = (H + 2·G)·d

/// <summary>
/// Rotary positions (Su et al., arXiv 2104.09864) and causal attention of queries to the keys of their
/// own sequence; G may be smaller than H (grouped-query attention, Ainslie et al., arXiv 2305.13245).
/// </summary>
/// <remarks>
/// No T × T matrix exists: neither in the CPU's kernels nor in libtorch's
/// scaled_dot_product_attention nor in <see cref="ChunkedAttention"/>. One object serves one thread.
/// </remarks>
/// <param name="configuration">The model's.</param>
/// <param name="kind">Traits of the layers that it serves.</param>
sealed class RotaryAttention(ModelConfiguration configuration, LayerAttention kind) : IDisposable
{
    /// <summary>Of a sequence whose attention takes a core a millisecond or more.</summary>
    const int LongTokens = 512;

    readonly ModelConfiguration _configuration = configuration;
    readonly LayerAttention _kind = kind;
    readonly AttentionKernel _attention = new(configuration, kind.Window);
    readonly RotaryKernel _rotary = new(configuration, kind.IsLocal);
    readonly RotaryTables _tables = new(configuration, kind.IsLocal);

    /// <summary>Of sequences that are long, where these have frequencies of their own.</summary>
    readonly RotaryKernel? _longRotary =
        configuration.RopeScaling.Type == RopeType.LongRope ? new(configuration, kind.IsLocal, isLong: true) : null;

    /// <param name="qkv">[N, W] query heads, key heads, value heads; used up.</param>
    /// <param name="batch">Where sequences begin and end.</param>
    /// <param name="firstQueries">Position in each sequence before which results are not wanted, and may be anything.</param>
    /// <param name="groups">The batch in groups of like length, where no kernels are used; null for ones that are made here.</param>
    /// <returns>[N, H·d].</returns>
    public Tensor Apply(Tensor qkv, TokenBatch batch, int[] firstQueries, LengthGroups? groups = null)
    {
        using var scope = NewDisposeScope();
        return (
            CustomGradient.TakesKernels(qkv)
                ? Kernel.apply(qkv, this, batch, firstQueries)
                : Plain(qkv, groups ?? new LengthGroups(batch, _configuration, qkv.device))
        ).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The same in generation: a row's queries look at the keys of its own sequence that the memory holds, its own among them.
    /// </summary>
    /// <param name="qkv">[N, W].</param>
    /// <param name="layer">Whose keys and values these are.</param>
    /// <param name="rows">Where each row's keys and values go, and which it sees.</param>
    /// <returns>[N, H·d].</returns>
    public Tensor Apply(Tensor qkv, int layer, CachedRows rows)
    {
        using var scope = NewDisposeScope();
        int heads = _configuration.NumAttentionHeads,
            keyHeads = _configuration.NumKeyValueHeads,
            d = _configuration.HeadDim;
        var all = qkv.reshape(qkv.shape[0], heads + 2 * keyHeads, d);
        var rotated = all.narrow(1, 0, heads + keyHeads);
        if (_kind.IsRotated)
        {
            var (cosine, sine) = rows.Angles(_tables, qkv.dtype); // [N, 1, r/2]
            rotated = Rotate(rotated, cosine, sine);
        }

        rows.Store(layer, rotated.narrow(1, heads, keyHeads), all.narrow(1, heads + keyHeads, keyHeads));
        return rows.Attend(layer, Scaled(rotated.narrow(1, 0, heads)), _kind.Window, _configuration.AttentionSoftCap)
            .MoveToOuterDisposeScope();
    }

    /// <summary>The weights of attention, in plain operations.</summary>
    /// <param name="qkv">[N, W].</param>
    /// <returns>For each sequence [H, T, T].</returns>
    public IEnumerable<Tensor> Maps(Tensor qkv, TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        int heads = _configuration.NumAttentionHeads,
            keyHeads = _configuration.NumKeyValueHeads;
        var (maps, first) = (new List<Tensor>(), 0L);
        foreach (var length in batch.Lengths)
        {
            var all = qkv.narrow(0, first, length).reshape(1, length, -1, _configuration.HeadDim).transpose(1, 2);
            var rotated = all.narrow(1, 0, heads + keyHeads).squeeze(0); // [H + G, T, d]
            if (_kind.IsRotated)
            {
                var (cosine, sine) = _tables.Of(length, _configuration.IsLong(length), qkv.dtype, qkv.device);
                rotated = Rotate(rotated, cosine, sine);
            }

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

    public void Dispose()
    {
        _attention.Dispose();
        _tables.Dispose();
    }

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
            rotary.Rotate(
                qkv + (long)first * (_configuration.QuerySize + 2 * _configuration.KeyValueSize),
                batch.Positions.AsSpan(first, length),
                inverse
            );
            first += length;
        }
    }

    Tensor Plain(Tensor qkv, LengthGroups groups)
    {
        int heads = _configuration.NumAttentionHeads,
            keyHeads = _configuration.NumKeyValueHeads,
            d = _configuration.HeadDim;
        var all = qkv.reshape(qkv.shape[0], heads + 2 * keyHeads, d); // [N, H + 2·G, d]
        var rotated = all.narrow(1, 0, heads + keyHeads);
        if (_kind.IsRotated)
        {
            var (cosine, sine) = groups.Angles(_tables, qkv.dtype); // [N, 1, r/2]
            rotated = Rotate(rotated, cosine, sine);
        }

        var (queriesAndKeys, values) = (groups.Pad(rotated), groups.Pad(all.narrow(1, heads + keyHeads, keyHeads)));
        Tensor[] attended =
        [
            .. groups.Groups.Select(group =>
            {
                var (qk, v) = (Of(group, queriesAndKeys), Of(group, values));
                return Attend(qk.narrow(1, 0, heads), qk.narrow(1, heads, keyHeads), v)
                    .transpose(1, 2)
                    .reshape(group.Count * group.Longest, heads * d);
            }),
        ];
        return groups.Strip(attended.Length == 1 ? attended[0] : cat(attended, 0));

        // [B, heads, T, d]
        static Tensor Of(LengthGroups.Group group, Tensor rows) =>
            rows.narrow(0, group.First, group.Count * group.Longest)
                .reshape(group.Count, group.Longest, rows.shape[1], rows.shape[2])
                .transpose(1, 2);
    }

    /// <param name="q">[B, H, T, d].</param>
    /// <param name="k">[B, G, T, d].</param>
    /// <param name="v">[B, G, T, d].</param>
    Tensor Attend(Tensor q, Tensor k, Tensor v)
    {
        var group = _configuration.NumAttentionHeads / _configuration.NumKeyValueHeads;
        var window = _kind.Window < q.shape[2] ? _kind.Window : null;
        if (window is not null || _configuration.AttentionSoftCap is not null)
        {
            return ChunkedAttention.Apply(
                q.contiguous(),
                k.contiguous(),
                v.contiguous(),
                _configuration.AttentionScale,
                _configuration.AttentionSoftCap,
                window
            );
        }

        (k, v) = group == 1 ? (k, v) : (k.repeat_interleave(group, 1), v.repeat_interleave(group, 1));
        return nn.functional.scaled_dot_product_attention(Scaled(q), k, v, is_casual: true);
    }

    /// <summary>TorchSharp's attention has no scale of its own: it divides by √d.</summary>
    Tensor Scaled(Tensor q) =>
        _configuration.QueryPreAttnScalar is null ? q : q.Times(_configuration.AttentionScale * Math.Sqrt(_configuration.HeadDim));

    /// <param name="heads">[…, d].</param>
    /// <param name="cosine">[…, r/2], r being the rotated channels.</param>
    /// <param name="sine">[…, r/2].</param>
    Tensor Rotate(Tensor heads, Tensor cosine, Tensor sine)
    {
        var (half, rest) = (_configuration.RotaryDim / 2, _configuration.HeadDim - _configuration.RotaryDim);
        var (low, high) = (heads.narrow(-1, 0, half), heads.narrow(-1, half, half));
        var (first, second) = ((low * cosine - high * sine).to(heads.dtype), (high * cosine).Plus(low * sine).to(heads.dtype));
        return rest == 0 ? cat([first, second], -1) : cat([first, second, heads.narrow(-1, 2 * half, rest)], -1);
    }

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
            float* x = CustomGradient.Pointer(qkv),
                y = CustomGradient.Pointer(output),
                sums = CustomGradient.Pointer(logSumExp);
            pass.ForEachKeyHead(
                (keyHead, first, length, firstQuery) =>
                    pass.Operation._attention.Forward(
                        keyHead,
                        x + first * pass.Width,
                        y + first * pass.QuerySize,
                        sums + first * pass.Heads,
                        length,
                        firstQuery
                    )
            );

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
                float* x = CustomGradient.Pointer(qkv),
                    y = CustomGradient.Pointer(output),
                    sums = CustomGradient.Pointer(logSumExp);
                float* slopes = CustomGradient.Pointer(dy),
                    dx = CustomGradient.Pointer(gradient);
                pass.ForEachKeyHead(
                    (keyHead, first, length, firstQuery) =>
                        pass.Operation._attention.Backward(
                            keyHead,
                            x + first * pass.Width,
                            y + first * pass.QuerySize,
                            sums + first * pass.Heads,
                            slopes + first * pass.QuerySize,
                            dx + first * pass.Width,
                            length,
                            firstQuery
                        )
                );

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

        /// <summary>Every key head of every sequence, those of one that is long on several cores where some are idle.</summary>
        /// <param name="attend">Takes the head, the sequence's first row, its length and its first wanted query.</param>
        public void ForEachKeyHead(Action<int, long, int, int> attend)
        {
            var (heads, first) = (Configuration.NumKeyValueHeads, 0L);
            for (var i = 0; i < Batch.Lengths.Length; i++)
            {
                var (start, length, firstQuery) = (first, Batch.Lengths[i], FirstQueries[i]);
                if (length >= LongTokens)
                {
                    Cores.For(heads, head => attend(head, start, length, firstQuery));
                }
                else
                {
                    for (var head = 0; head < heads; head++)
                    {
                        attend(head, start, length, firstQuery);
                    }
                }

                first += length;
            }
        }
    }
}
