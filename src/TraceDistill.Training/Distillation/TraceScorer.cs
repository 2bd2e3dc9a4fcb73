using System.Numerics.Tensors;
using TraceDistill.Core.Alignment;
using TraceDistill.Core.Evaluation;
using TraceDistill.Core.Traces;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Losses;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Distillation;

/// <summary>Runs a model over traces in its own token ids and compares its distributions with the soft targets.</summary>
public sealed class TraceScorer : ITraceScorer, IDisposable
{
    static readonly DistillationSettings PlainDivergence = new(1, 1, MissingMass.TailBucket);
    readonly IDecoderWeights _parameters;
    readonly Projection _projection;
    readonly CausalLanguageModel _model;
    readonly LanguageModelHead _head;

    /// <param name="parameters">The model; owned by the caller.</param>
    public TraceScorer(IDecoderWeights parameters)
    {
        _parameters = parameters;
        _projection = new Projection(parameters, ComputeDtype.Float32);
        _model = new CausalLanguageModel(TrainedWeights.None(parameters), _projection, gradientCheckpointing: true);
        _head = new LanguageModelHead(parameters);
    }

    public IEnumerable<TokenScore[]> Score(IEnumerable<Trace> traces, CancellationToken cancellationToken = default)
    {
        foreach (var trace in traces)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Score(trace);
        }
    }

    public void Dispose()
    {
        _head.Dispose();
        _model.Dispose();
        _projection.Dispose();
    }

    TokenScore[] Score(Trace trace)
    {
        if (trace is not { Logprobs: { Count: > 0, K: > 0 } logprobs, PromptTokenIds.Length: > 0 })
        {
            return [];
        }

        int[] ids = [.. trace.PromptTokenIds, .. logprobs.TokenIds];
        if (ids.Max() >= _parameters.Configuration.VocabSize || ids.Length > _parameters.Configuration.MaxPositionEmbeddings)
        {
            return [];
        }

        var soft = SoftTargets.From(logprobs);
        var scores = new TokenScore[logprobs.Count];
        var rows = Enumerable.Range(trace.PromptTokenIds.Length - 1, logprobs.Count).ToArray();
        _model.Forward(new TokenBatch(ids, [ids.Length], rows));
        _head.VisitLogits(_model, rows.Length, (row, logits) =>
        {
            var best = TensorPrimitives.IndexOfMax<float>(logits);
            double maximum = logits[best], sampled = logits[logprobs.TokenIds[row]];
            var partition = 0.0;
            foreach (var logit in logits)
            {
                partition += Math.Exp(logit - maximum);
            }

            var totals = default(LossTotals);
            var present = soft.Ids.AsSpan(row * soft.K, soft.K).IndexOf(-1) is >= 0 and var end ? end : soft.K;
            DistillationLoss.ForwardBackward(
                logits, logprobs.TokenIds[row], soft.Ids.AsSpan(row * soft.K, present), soft.Logprobs.AsSpan(row * soft.K, present), soft.Tail[row],
                PlainDivergence, ref totals);
            scores[row] = new TokenScore(totals.Divergence, sampled - maximum - Math.Log(partition), 1 / partition, best == logprobs.TokenIds[row]);
        });
        return scores;
    }
}
