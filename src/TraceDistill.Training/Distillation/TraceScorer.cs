using TraceDistill.Data.Contracts;
using TraceDistill.Data.Traces;
using TraceDistill.Models;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distillation;

/// <summary>
/// Runs a model over traces in its own token ids and compares its distributions with the soft
/// targets, behind the prompts that the model is served with.
/// </summary>
public sealed class TraceScorer : ITraceScorer, IDisposable
{
    static readonly KlForward Divergence = new();
    readonly IDecoderWeights _parameters;
    readonly Decoder _decoder;
    readonly ChunkedHead _head;
    readonly Func<Trace, TraceTokens> _align;

    /// <param name="parameters">The model; owned by the caller.</param>
    /// <param name="align">
    /// Turns a trace into the model's sequence, as training does; null takes prompt and tokens as they were reported.
    /// </param>
    public TraceScorer(IDecoderWeights parameters, Func<Trace, TraceTokens>? align = null)
    {
        (_parameters, _align) = (parameters, align ?? AsReported);
        _decoder = new Decoder(TrainedWeights.None(parameters));
        _head = new ChunkedHead(_decoder);
    }

    public IEnumerable<TokenScore[]> Score(IEnumerable<Trace> traces, CancellationToken cancellationToken = default)
    {
        foreach (var trace in traces)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Score(trace);
        }
    }

    public void Dispose() => _decoder.Dispose();

    /// <summary>Scores of the tokens that have soft targets; those that the model's template adds have none.</summary>
    TokenScore[] Score(Trace trace)
    {
        var sequence = _align(WithoutCode(trace));
        if (
            sequence.FirstTrained == 0
            || sequence.Soft is null
            || sequence.Ids.Max() >= _parameters.Configuration.VocabSize
            || sequence.Ids.Length > _parameters.Configuration.MaxPositionEmbeddings
        )
        {
            return [];
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var batch = PackedBatch.Create([sequence]);
        var told = Enumerable.Range(0, batch.Rows.Length).Where(row => batch.SoftStarts[row] < batch.SoftStarts[row + 1]).ToHashSet();
        if (told.Count == 0)
        {
            return [];
        }

        var scores = new List<TokenScore>(told.Count);
        var hidden = _decoder.Forward(batch.Tokens);
        _head.Visit(hidden, batch, (first, student, targets) =>
        {
            var (divergence, drawn) = (Values(Divergence.Loss(student, targets, TrainingPoint.First)), Values(student.Drawn));
            var (best, isBest) = (Values(student.Best), student.DrawnIsBest.cpu().data<bool>().ToArray());
            for (var row = 0; row < targets.Rows; row++)
            {
                if (told.Contains(first + row))
                {
                    scores.Add(new TokenScore(divergence[row], drawn[row], Math.Exp(best[row]), isBest[row]));
                }
            }
        });
        return [.. scores];
    }

    /// <summary>
    /// A trace whose soft targets were decoded as it was read: kept encoded as well, they would be decoded again for the batch.
    /// </summary>
    static Trace WithoutCode(Trace trace) =>
        trace.Logprobs is { Encoded: not null, TopIds.Length: > 0 } logprobs
            ? trace with
            {
                Logprobs = logprobs with { Encoded = null },
            }
            : trace;

    static double[] Values(Tensor values) => values.cpu().data<double>().ToArray();

    static TraceTokens AsReported(Trace trace) =>
        trace.Logprobs is { Count: > 0 } logprobs
            ? new TraceTokens([.. trace.PromptTokenIds, .. logprobs.TokenIds], trace.PromptTokenIds.Length, SoftTargets.From(logprobs))
            : new TraceTokens(trace.PromptTokenIds, trace.PromptTokenIds.Length, Soft: null);
}
