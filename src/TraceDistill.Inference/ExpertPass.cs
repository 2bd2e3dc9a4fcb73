using System.Numerics.Tensors;
using TraceDistill.Inference.Kernels;
using TraceDistill.Inference.Weights;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;

namespace TraceDistill.Inference;

// R = rows, D = hidden size, E = experts, I = intermediate size of an expert

/// <summary>
/// Runs the experts of a layer over the rows that go to each. A row's result is summed in the
/// order of its experts, whatever else is in the batch. Holds one thread's scratch memory.
/// </summary>
sealed class ExpertPass : IDisposable
{
    readonly ExpertSettings _settings;
    readonly int _hiddenSize,
        _stride;
    readonly NativeBuffer _scores,
        _inputs,
        _gated,
        _outputs;
    readonly int[] _rows;

    /// <param name="layer">Any of the model's.</param>
    /// <param name="stride">Floats from one row of hidden states to the next.</param>
    public ExpertPass(ModelConfiguration configuration, ExpertMatrices layer, int maxRows, int stride)
    {
        (_settings, _hiddenSize, _stride) = (configuration.Experts!, configuration.HiddenSize, stride);
        _scores = new NativeBuffer((long)maxRows * layer.Router.OutputStride);
        _inputs = new NativeBuffer((long)maxRows * stride);
        _gated = new NativeBuffer((long)maxRows * layer.GateUp[0].OutputStride);
        _outputs = new NativeBuffer((long)maxRows * stride);
        _rows = new int[maxRows];
        _inputs.Clear();
    }

    /// <summary>Adds what the experts make of each row.</summary>
    /// <param name="normed">[R, D].</param>
    /// <param name="rows">R.</param>
    /// <param name="hidden">[R, D], added to.</param>
    public void Run(ExpertMatrices layer, NativeBuffer normed, int rows, NativeBuffer hidden, int helpers)
    {
        var experts = _settings.NumExperts;
        layer.Router.Multiply(normed, _stride, rows, _scores, helpers: helpers); // [R, E]
        for (var row = 0; row < rows; row++)
        {
            Choose(_scores.Row(row, layer.Router.OutputStride, experts));
        }

        for (var expert = 0; expert < experts; expert++)
        {
            var count = Gather(layer.Router.OutputStride, expert, normed, rows);
            if (count == 0)
            {
                continue;
            }

            var (gateUp, down) = (layer.GateUp[expert], layer.Down[expert]);
            gateUp.Multiply(_inputs, _stride, count, _gated, helpers: helpers); // [R, 2·I]
            for (var i = 0; i < count; i++)
            {
                SwiGluKernel.Forward(_gated.Row(i, gateUp.OutputStride, 2 * _settings.IntermediateSize));
            }

            down.Multiply(_gated, gateUp.OutputStride, count, _outputs, helpers: helpers); // [R, D]
            for (var i = 0; i < count; i++)
            {
                var sum = hidden.Row(_rows[i], _stride, _hiddenSize);
                var weight = _scores.Row(_rows[i], layer.Router.OutputStride, experts)[expert];
                TensorPrimitives.MultiplyAdd(_outputs.Row(i, down.OutputStride, _hiddenSize), weight, sum, sum);
            }
        }
    }

    public void Dispose()
    {
        foreach (var buffer in new[] { _scores, _inputs, _gated, _outputs })
        {
            buffer.Dispose();
        }
    }

    /// <summary>Turns a row's scores into weights, zero for experts that it does not go to.</summary>
    void Choose(Span<float> scores)
    {
        TensorPrimitives.SoftMax(scores, scores);
        Span<float> largest = stackalloc float[_settings.NumExpertsPerToken];
        Span<int> chosen = stackalloc int[_settings.NumExpertsPerToken];
        for (var i = 0; i < chosen.Length; i++)
        {
            chosen[i] = TensorPrimitives.IndexOfMax<float>(scores);
            largest[i] = scores[chosen[i]];
            scores[chosen[i]] = -1;
        }

        var sum = _settings.NormalizesTopK ? TensorPrimitives.Sum<float>(largest) : 1;
        scores.Clear();
        for (var i = 0; i < chosen.Length; i++)
        {
            scores[chosen[i]] = largest[i] / sum;
        }
    }

    /// <summary>Copies the rows of an expert together.</summary>
    /// <returns>The number of those rows.</returns>
    int Gather(int scoreStride, int expert, NativeBuffer normed, int rows)
    {
        var count = 0;
        for (var row = 0; row < rows; row++)
        {
            if (_scores.Row(row, scoreStride, scoreStride)[expert] > 0)
            {
                normed.Row(row, _stride, _hiddenSize).CopyTo(_inputs.Row(count, _stride, _hiddenSize));
                _rows[count++] = row;
            }
        }

        return count;
    }
}
