using System.Numerics.Tensors;
using TraceDistill.Core.Alignment;
using TraceDistill.Core.Evaluation;
using TraceDistill.Core.Traces;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Losses;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Distillation;

/// <summary>Runs a model over traces in its own token ids and compares its distributions with the soft targets, behind the prompts that the model is served with.</summary>
public sealed class TraceScorer : ITraceScorer, IDisposable
{
    static readonly DistillationSettings PlainDivergence = new(1, 1, MissingMass.TailBucket);
    readonly IDecoderWeights _parameters;
    readonly Projection _projection;
    readonly CausalLanguageModel _model;
    readonly LanguageModelHead _head;
    readonly Func<Trace, TraceTokens> _align;

    /// <param name="parameters">The model; owned by the caller.</param>
    /// <param name="align">Turns a trace into the model's sequence, as training does; null takes prompt and tokens as they were reported.</param>
    public TraceScorer(IDecoderWeights parameters, Func<Trace, TraceTokens>? align = null)
    {
        (_parameters, _align) = (parameters, align ?? AsReported);
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

    /// <summary>Scores of the tokens that have soft targets; those that the model's template adds have none.</summary>
    TokenScore[] Score(Trace trace)
    {
        var sequence = _align(trace);
        if (sequence.FirstTrained == 0 || sequence.Soft is null || sequence.Ids.Max() >= _parameters.Configuration.VocabSize || sequence.Ids.Length > _parameters.Configuration.MaxPositionEmbeddings)
        {
            return [];
        }

        var (ids, soft) = (sequence.Ids, sequence.Soft.Read());
        int[] told = [.. Enumerable.Range(0, sequence.Trained).Where(row => soft.K > 0 && soft.Ids[row * soft.K] >= 0)];
        if (told.Length == 0)
        {
            return [];
        }

        var scores = new TokenScore[told.Length];
        var rows = Array.ConvertAll(told, row => sequence.FirstTrained - 1 + row);
        _model.Forward(new TokenBatch(ids, [ids.Length], rows));
        _head.VisitLogits(_model, rows.Length, (index, logits) =>
        {
            var (row, drawn) = (told[index], ids[sequence.FirstTrained + told[index]]);
            var best = TensorPrimitives.IndexOfMax<float>(logits);
            double maximum = logits[best], sampled = logits[drawn];
            var partition = 0.0;
            foreach (var logit in logits)
            {
                partition += Math.Exp(logit - maximum);
            }

            var totals = default(LossTotals);
            var present = soft.Ids.AsSpan(row * soft.K, soft.K).IndexOf(-1) is >= 0 and var end ? end : soft.K;
            DistillationLoss.ForwardBackward(
                logits, drawn, soft.Ids.AsSpan(row * soft.K, present), soft.Logprobs.AsSpan(row * soft.K, present), soft.Tail[row], PlainDivergence, ref totals);
            scores[index] = new TokenScore(totals.Divergence, sampled - maximum - Math.Log(partition), 1 / partition, best == drawn);
        });
        return scores;
    }

    static TraceTokens AsReported(Trace trace) => trace.Logprobs is { Count: > 0 } logprobs
        ? new TraceTokens([.. trace.PromptTokenIds, .. logprobs.TokenIds], trace.PromptTokenIds.Length, SoftTargets.From(logprobs))
        : new TraceTokens(trace.PromptTokenIds, trace.PromptTokenIds.Length, Soft: null);
}
