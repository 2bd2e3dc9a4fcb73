using TorchSharp;
using TraceDistill.Core.Packing;
using TraceDistill.Training.Kernels;
using TraceDistill.Training.Models;

namespace TraceDistill.Training.Losses;

// M = trained tokens, C = rows of one chunk, D = hidden, V = vocabulary

/// <summary>
/// Output projection and loss together, a chunk of trained tokens at a time: the logits of a whole batch never exist at once, and context
/// tokens get none at all.
/// </summary>
public sealed unsafe class LanguageModelHead : IDisposable
{
    /// <summary>Logits held at once: 2²⁰ floats are 4 MB, which stays in cache.</summary>
    const int ChunkLogits = 1 << 20;
    readonly ModelParameters _parameters;
    readonly int _d, _v, _chunk;
    readonly FloatBuffer _hidden, _hiddenGradient, _logits;

    public LanguageModelHead(ModelParameters parameters)
    {
        _parameters = parameters;
        _d = parameters.Configuration.HiddenSize;
        _v = parameters.Configuration.VocabSize;
        _chunk = Math.Max(16, ChunkLogits / _v);
        _hidden = new FloatBuffer((long)_chunk * _d);
        _hiddenGradient = new FloatBuffer((long)_chunk * _d);
        _logits = new FloatBuffer((long)_chunk * _v);
    }

    /// <summary>
    /// Loss of a batch whose forward pass <paramref name="model"/> has just run. Writes the model's hidden gradient and adds the output
    /// matrix's to <paramref name="gradient"/>; nothing is divided by the number of tokens.
    /// </summary>
    public LossTotals ForwardBackward(CausalLanguageModel model, PackedBatch batch, in DistillationSettings settings, FloatBuffer gradient)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var totals = default(LossTotals);
        model.HiddenGradient.Span[..(batch.Ids.Length * _d)].Clear();
        for (var first = 0; first < batch.Rows.Length; first += _chunk)
        {
            var rows = batch.Rows.AsSpan(first, Math.Min(_chunk, batch.Rows.Length - first));
            using var logits = Logits(model, rows);                                       // [C, V]
            for (var i = 0; i < rows.Length; i++)
            {
                var m = first + i;
                var (from, to) = (batch.SoftStarts[m], batch.SoftStarts[m + 1]);
                DistillationLoss.ForwardBackward(
                    Row(i), batch.Targets[m], batch.SoftIds.AsSpan(from..to), batch.SoftLogprobs.AsSpan(from..to), batch.Tails[m], settings, ref totals);
            }

            Backward(model, rows, logits, gradient);
        }

        return totals;
    }

    /// <summary>Calls <paramref name="visit"/> with the index of each trained token and its logits [V].</summary>
    public void VisitLogits(CausalLanguageModel model, ReadOnlySpan<int> rows, LogitsVisitor visit)
    {
        using var noGrad = torch.no_grad();
        for (var first = 0; first < rows.Length; first += _chunk)
        {
            var chunk = rows[first..Math.Min(rows.Length, first + _chunk)];
            Logits(model, chunk).Dispose();
            for (var i = 0; i < chunk.Length; i++)
            {
                visit(first + i, Row(i));
            }
        }
    }

    /// <summary>Receives the logits of one row; they may be overwritten.</summary>
    public delegate void LogitsVisitor(int index, Span<float> logits);

    public void Dispose()
    {
        _hidden.Dispose();
        _hiddenGradient.Dispose();
        _logits.Dispose();
    }

    Span<float> Row(int i) => new(_logits.Pointer + (long)i * _v, _v);

    torch.Tensor Logits(CausalLanguageModel model, ReadOnlySpan<int> rows)
    {
        for (var i = 0; i < rows.Length; i++)
        {
            new ReadOnlySpan<float>(model.Hidden.Pointer + (long)rows[i] * _d, _d).CopyTo(new Span<float>(_hidden.Pointer + (long)i * _d, _d));
        }

        using var hidden = _hidden.Matrix(rows.Length, _d);
        using var output = _parameters.Matrix(_parameters.Flat, model.OutputMatrix);
        using var transposed = output.t();
        var logits = _logits.Matrix(rows.Length, _v);
        return logits.addmm_(hidden, transposed, beta: 0, alpha: 1);
    }

    void Backward(CausalLanguageModel model, ReadOnlySpan<int> rows, torch.Tensor logitsGradient, FloatBuffer gradient)
    {
        using var hidden = _hidden.Matrix(rows.Length, _d);
        using var hiddenGradient = _hiddenGradient.Matrix(rows.Length, _d);
        using var output = _parameters.Matrix(_parameters.Flat, model.OutputMatrix);
        using var outputGradient = _parameters.Matrix(gradient, model.OutputMatrix);
        using var transposed = logitsGradient.t();
        hiddenGradient.addmm_(logitsGradient, output, beta: 0, alpha: 1);
        outputGradient.addmm_(transposed, hidden, beta: 1, alpha: 1);
        for (var i = 0; i < rows.Length; i++)
        {
            new ReadOnlySpan<float>(_hiddenGradient.Pointer + (long)i * _d, _d).CopyTo(new Span<float>(model.HiddenGradient.Pointer + (long)rows[i] * _d, _d));
        }
    }
}
