using TraceDistill.Models.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.autograd;

namespace TraceDistill.Models.Operations;

// B = sequences, T = tokens, H = query heads, G = key heads, g = H / G, d = channels of a
// head, b = queries of a chunk, n = keys that they see

/// <summary>
/// Causal attention by chunks of queries, for what libtorch's scaled_dot_product_attention lacks without a T ×
/// T matrix: a sliding window, whose chunks read the keys of their window alone, and a soft cap of scores, c ·
/// tanh(s / c) (Gemma 2, arXiv 2408.00118, section 2). Scores are made again in the backward pass.
/// </summary>
static class ChunkedAttention
{
    /// <summary>Scores held at once: 64 megabytes in float32.</summary>
    internal const long ChunkScores = 1 << 24;

    /// <param name="q">[B, H, T, d].</param>
    /// <param name="k">[B, G, T, d].</param>
    /// <param name="v">[B, G, T, d].</param>
    /// <param name="scale">Factor of scores.</param>
    /// <param name="cap">c; null for none.</param>
    /// <param name="window">Keys that a query sees, its own included; null for all before it.</param>
    /// <returns>[B, H, T, d].</returns>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, double scale, double? cap, int? window) =>
        Function.apply(q, k, v, new Settings(scale, cap, window));

    sealed record Settings(double Scale, double? Cap, int? Window)
    {
        /// <summary>The first query of each chunk, the query after its last, and the first key that it sees.</summary>
        public IEnumerable<(long First, long End, long FirstKey)> Chunks(Tensor q)
        {
            var (batch, heads, tokens) = (q.shape[0], q.shape[1], q.shape[2]);
            var seen = Math.Min(tokens, Window is { } window ? window + 512L : tokens);
            var queries = Math.Clamp(ChunkScores / (batch * heads * seen), 1, Window is null ? tokens : 512);
            for (long first = 0; first < tokens; first += queries)
            {
                yield return (first, Math.Min(tokens, first + queries), Math.Max(0, first - (Window ?? int.MaxValue) + 1));
            }
        }

        /// <returns>[B, G, g, b, n] scores after the cap; −∞ where a query does not look. And tanh(s / c) where there is a cap.</returns>
        public (Tensor Scores, Tensor? Share) Scores(Tensor queries, Tensor keys, long first, long firstKey)
        {
            var scores = queries.matmul(keys.transpose(-1, -2)).Wide().Scale(Scale / (Cap ?? 1));
            var share = Cap is null ? null : scores.tanh_();
            scores = Cap is { } cap ? share!.Times(cap) : scores;
            var all = ones(queries.shape[^2], keys.shape[^2], dtype: ScalarType.Bool, device: queries.device);
            var hidden = all.triu(first - firstKey + 1);
            hidden = Window is { } window ? hidden.logical_or(all.tril(first - firstKey - window)) : hidden;
            return (scores.NegativeInfinityWhere(hidden), share);
        }
    }

    sealed class Function : SingleTensorFunction<Function>
    {
        public override string Name => "chunked_attention";

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var (q, k, v, settings) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Settings)vars[3]);
            using var scope = NewDisposeScope();
            var (output, sums) = (
                empty_like(q).contiguous(),
                empty(q.shape[..3], dtype: q.dtype == ScalarType.Float64 ? q.dtype : ScalarType.Float32, device: q.device).unsqueeze(-1)
            );
            var (queries, results, logs) = (Grouped(q, k), Grouped(output, k), Grouped(sums, k));
            foreach (var (first, end, firstKey) in settings.Chunks(q))
            {
                using var chunk = NewDisposeScope();
                var (scores, _) = settings.Scores(Part(queries, first, end), Keys(k, firstKey, end), first, firstKey);
                var log = scores.logsumexp(-1, keepdim: true);
                Part(logs, first, end).copy_(log);
                Part(results, first, end).copy_(scores.sub_(log).exp_().to(v.dtype).matmul(Keys(v, firstKey, end)));
            }

            ctx.save_for_backward([q, k, v, output, sums]);
            ctx.save_data("settings", settings);
            sums.MoveToOuterDisposeScope();
            return output.MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor gradOutput)
        {
            var settings = (Settings)ctx.get_data("settings");
            return CustomGradient.Of(ctx, gradOutput, 4, (saved, dy) =>
            {
                var (q, k, v, output, sums) = (saved[0], saved[1], saved[2], saved[3], saved[4]);
                var (dq, dk, dv) = (empty_like(q).contiguous(), zeros_like(k).contiguous(), zeros_like(v).contiguous());
                Tensor queries = Grouped(q, k),
                    slopes = Grouped(dy, k),
                    queryGradients = Grouped(dq, k),
                    logs = Grouped(sums, k);
                var dots = (slopes.Wide() * Grouped(output, k).Wide()).sum(-1, keepdim: true); // [B, G, g, T, 1]
                foreach (var (first, end, firstKey) in settings.Chunks(q))
                {
                    using var chunk = NewDisposeScope();
                    var (scores, share) = settings.Scores(Part(queries, first, end), Keys(k, firstKey, end), first, firstKey);
                    var p = scores.sub_(Part(logs, first, end)).exp_(); // [B, G, g, b, n]
                    var dp = Part(slopes, first, end).matmul(Keys(v, firstKey, end).transpose(-1, -2)).Wide();
                    Keys(dv, firstKey, end).squeeze(2).Add(p.to(v.dtype).transpose(-1, -2).matmul(Part(slopes, first, end)).sum(dim: 2));
                    var ds = dp.sub_(Part(dots, first, end)).mul_(p);
                    ds = share is null ? ds : ds.mul_(share.mul_(share).neg_().Plus(1));
                    ds = ds.Scale(settings.Scale).to(q.dtype);
                    Part(queryGradients, first, end).copy_(ds.matmul(Keys(k, firstKey, end)));
                    Keys(dk, firstKey, end).squeeze(2).Add(ds.transpose(-1, -2).matmul(Part(queries, first, end)).sum(dim: 2));
                }

                return [dq, dk, dv, null];
            });
        }

        /// <returns>[B, G, g, T, …] a view.</returns>
        static Tensor Grouped(Tensor heads, Tensor keys) =>
            heads.view(heads.shape[0], keys.shape[1], heads.shape[1] / keys.shape[1], heads.shape[2], heads.shape[3]);

        static Tensor Part(Tensor grouped, long first, long end) => grouped.narrow(3, first, end - first);

        /// <returns>[B, G, 1, n, d] a view.</returns>
        static Tensor Keys(Tensor keys, long first, long end) => keys.narrow(2, first, end - first).unsqueeze(2);
    }
}
