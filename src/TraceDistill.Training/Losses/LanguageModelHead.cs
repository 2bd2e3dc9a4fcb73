using TraceDistill.Core.Packing;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Losses;

// M = trained tokens, C = rows of one chunk, D = hidden, V = vocabulary

/// <summary>
/// Output projection and loss together, a chunk of trained tokens at a time: the logits of a whole batch never exist at once, and context
/// tokens get none at all: the model gives hidden states for the trained tokens alone.
/// </summary>
public sealed unsafe class LanguageModelHead : IDisposable
{
    /// <summary>Logits held at once, where the vocabulary allows it: 2¹⁷ floats are half a megabyte, which stays in the second-level cache.</summary>
    const int ChunkLogits = 1 << 17;

    /// <summary>Rows below which a chunk would spend its time reading the output matrix.</summary>
    const int LeastRows = 128;
    readonly IDecoderWeights _parameters;
    readonly int _d, _v, _chunk;
    readonly FloatBuffer _logits;

    public LanguageModelHead(IDecoderWeights parameters)
    {
        _parameters = parameters;
        _d = parameters.Configuration.HiddenSize;
        _v = parameters.Configuration.VocabSize;
        _chunk = Math.Max(LeastRows, ChunkLogits / _v);
        _logits = new FloatBuffer((long)_chunk * _v);
    }

    /// <summary>
    /// Loss of a batch whose forward pass <paramref name="model"/> has just run. Writes the model's hidden gradient and, where the output matrix
    /// is trained, adds its own to <paramref name="gradient"/>; nothing is divided by the number of tokens.
    /// </summary>
    public LossTotals ForwardBackward(CausalLanguageModel model, PackedBatch batch, in DistillationSettings settings, FloatBuffer gradient)
    {
        var totals = default(LossTotals);
        for (var first = 0; first < batch.Rows.Length; first += _chunk)
        {
            var rows = Math.Min(_chunk, batch.Rows.Length - first);
            Logits(model, first, rows);                                                   // [C, V]
            for (var i = 0; i < rows; i++)
            {
                var m = first + i;
                var (from, to) = (batch.SoftStarts[m], batch.SoftStarts[m + 1]);
                DistillationLoss.ForwardBackward(
                    Row(i), batch.Targets[m], batch.SoftIds.AsSpan(from..to), batch.SoftLogprobs.AsSpan(from..to), batch.Tails[m], settings, ref totals,
                    batch.Unmatched.AsSpan(batch.UnmatchedStarts[m]..batch.UnmatchedStarts[m + 1]));
            }

            LinearLayer.InputGradient(_logits, _parameters, model.OutputMatrix, model.HiddenGradient, first, rows, _v, _d);
            if (model.Trained.OffsetOf(model.OutputMatrix) is { } offset)
            {
                LinearLayer.WeightGradient(_logits, model.Hidden, first, gradient, new TrainedRows(0, _v, offset), rows, _v, _d);
            }
        }

        return totals;
    }

    /// <summary>Calls <paramref name="visit"/> with the index of each output of the model's last forward pass and its logits [V].</summary>
    public void VisitLogits(CausalLanguageModel model, int outputs, LogitsVisitor visit)
    {
        for (var first = 0; first < outputs; first += _chunk)
        {
            var rows = Math.Min(_chunk, outputs - first);
            Logits(model, first, rows);
            for (var i = 0; i < rows; i++)
            {
                visit(first + i, Row(i));
            }
        }
    }

    /// <summary>Receives the logits of one row; they may be overwritten.</summary>
    public delegate void LogitsVisitor(int index, Span<float> logits);

    public void Dispose() => _logits.Dispose();

    Span<float> Row(int i) => new(_logits.Pointer + (long)i * _v, _v);

    void Logits(CausalLanguageModel model, int first, int rows) =>
        LinearLayer.Forward(model.Hidden, first, _parameters, model.OutputMatrix, _logits, rows, _v, _d, add: false);
}
