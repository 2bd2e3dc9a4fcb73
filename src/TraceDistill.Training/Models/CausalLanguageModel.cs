using TraceDistill.Training.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Models;

// N = tokens of all sequences, M = those whose hidden states are wanted, D = hidden, Q = query heads × head size, KV = key heads × head size, F = intermediate, V = vocabulary

/// <summary>
/// The decoder of Llama and Qwen (pre-norm, RMSNorm, rotary positions, grouped-query attention, SwiGLU; biases and norms of heads where a family
/// has them) with its gradient, on the CPU in float32.
/// </summary>
/// <remarks>
/// The gradient is written out rather than recorded: buffers are allocated once, a thread needs no lock, and every buffer is visible. Matrix
/// products are <see cref="Projection"/>'s; what lies between them is fused in <c>Kernels/</c>. Tests hold it against libtorch's own autograd
/// and against finite differences. Of the last layer only keys and values are needed of every token: what follows its attention is computed for
/// the wanted tokens alone, which leaves prompts out. One object serves one thread; several share one <see cref="ModelParameters"/> and add
/// into gradients of their own.
/// </remarks>
public sealed unsafe class CausalLanguageModel : IDisposable
{
    readonly ModelParameters _parameters;
    readonly ModelConfiguration _shape;
    readonly Activations _memory;
    readonly RotaryKernel _rotary;
    readonly HeadNormKernel _headNorm;
    readonly Projection _projection;
    TokenBatch _batch = new([], []);

    /// <param name="parameters">The weights.</param>
    /// <param name="projection">The linear layers over the same weights; may be shared by several threads.</param>
    public CausalLanguageModel(ModelParameters parameters, Projection projection)
    {
        _parameters = parameters;
        _projection = projection;
        _shape = parameters.Configuration;
        _memory = new Activations(_shape);
        _rotary = new RotaryKernel(_shape);
        _headNorm = new HeadNormKernel(_shape);
    }

    /// <summary>The name of the matrix that turns hidden states into logits: the embedding, where they are tied.</summary>
    public string OutputMatrix => _shape.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";

    /// <summary>[M, D] hidden states of the last forward pass at the batch's <see cref="TokenBatch.Outputs"/>, after the final norm.</summary>
    public FloatBuffer Hidden => _memory.Hidden;

    /// <summary>[M, D] where the loss puts the gradient of <see cref="Hidden"/> before <see cref="Backward"/>.</summary>
    public FloatBuffer HiddenGradient => _memory.HiddenGradient;

    /// <summary>Runs all layers; the result is in <see cref="Hidden"/>.</summary>
    public void Forward(TokenBatch batch)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        int n = batch.Ids.Length, d = _shape.HiddenSize, f = _shape.IntermediateSize;
        int qkvWidth = _shape.QuerySize + 2 * _shape.KeyValueSize;
        var epsilon = (float)_shape.RmsNormEps;
        _batch = batch;
        _memory.Reserve(n);
        Embed(batch.Ids, _memory.Layers[0].Input);
        for (var i = 0; i < _shape.NumHiddenLayers; i++)
        {
            var layer = _memory.Layers[i];
            var next = IsLast(i) ? _memory.Last : _memory.Layers[i + 1].Input;

            RmsNormKernel.Forward(layer.Input.Pointer, Weight($"model.layers.{i}.input_layernorm.weight"), layer.AttentionInput.Pointer, layer.InputInverse.Pointer, n, d, epsilon);
            _projection.Forward(layer.AttentionInput, $"model.layers.{i}.self_attn.q_proj.weight", layer.Qkv, n, qkvWidth, d);      // [N, Q + 2·KV]
            if (_shape.HasQueryKeyValueBias)
            {
                BiasKernel.Forward(layer.Qkv.Pointer, Weight($"model.layers.{i}.self_attn.q_proj.bias"), n, qkvWidth); // k's and v's follow q's
            }

            if (_shape.HasQueryKeyNorm)
            {
                _headNorm.Forward(layer.Qkv.Pointer, Weight($"model.layers.{i}.self_attn.q_norm.weight"), Weight($"model.layers.{i}.self_attn.k_norm.weight"), layer.RawHeads.Pointer, layer.HeadInverse.Pointer, n);
            }

            _rotary.Rotate(layer.Qkv.Pointer, batch.Positions, inverse: false);
            Attend(layer, qkvWidth, FirstQueries(i));                                                                  // [N, Q]
            var attended = layer.AttentionOutput;
            if (IsLast(i))
            {
                attended = _memory.Selected;
                n = batch.Outputs.Length;
                Gather(layer.AttentionOutput, attended, _shape.QuerySize);                                             // [M, Q]
                Gather(layer.Input, layer.Middle, d);                                                                  // [M, D]; from here on N is M
            }
            else
            {
                Copy(layer.Input, layer.Middle, n * d);
            }

            _projection.Forward(attended, $"model.layers.{i}.self_attn.o_proj.weight", layer.Middle, n, d, _shape.QuerySize, add: true);
            if (_shape.AttentionBias)
            {
                BiasKernel.Forward(layer.Middle.Pointer, Weight($"model.layers.{i}.self_attn.o_proj.bias"), n, d);
            }

            RmsNormKernel.Forward(layer.Middle.Pointer, Weight($"model.layers.{i}.post_attention_layernorm.weight"), layer.MlpInput.Pointer, layer.MiddleInverse.Pointer, n, d, epsilon);
            _projection.Forward(layer.MlpInput, $"model.layers.{i}.mlp.gate_proj.weight", layer.GateUp, n, 2 * f, d);               // [N, 2·F]
            SwiGluKernel.Forward(layer.GateUp.Pointer, layer.MlpActivation.Pointer, n, f);                              // [N, F]
            Copy(layer.Middle, next, n * d);
            _projection.Forward(layer.MlpActivation, $"model.layers.{i}.mlp.down_proj.weight", next, n, d, f, add: true);
        }

        RmsNormKernel.Forward(_memory.Last.Pointer, Weight("model.norm.weight"), _memory.Hidden.Pointer, _memory.LastInverse.Pointer, n, d, epsilon);
    }

    /// <summary>
    /// Passes <see cref="HiddenGradient"/> back through the layers of the last forward pass and adds to <paramref name="gradient"/>, a
    /// buffer laid out like the weights. Uses the activations up: one backward pass for one forward pass.
    /// </summary>
    public void Backward(FloatBuffer gradient)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        int n = _batch.Outputs.Length, d = _shape.HiddenSize, f = _shape.IntermediateSize;
        int qkvWidth = _shape.QuerySize + 2 * _shape.KeyValueSize;
        var residual = _memory.ResidualGradient;                                                                       // [M, D]
        var scratch = _memory.Scratch;
        residual.Span[..(n * d)].Clear();
        NormBackward(_memory.Last, _memory.LastInverse, "model.norm.weight", _memory.HiddenGradient, residual, gradient, n);
        for (var i = _shape.NumHiddenLayers - 1; i >= 0; i--)
        {
            var layer = _memory.Layers[i];
            _projection.Backward(residual, layer.MlpActivation, $"model.layers.{i}.mlp.down_proj.weight", scratch, gradient, n, d, f);
            SwiGluKernel.Backward(layer.GateUp.Pointer, scratch.Pointer, n, f);
            _projection.Backward(layer.GateUp, layer.MlpInput, $"model.layers.{i}.mlp.gate_proj.weight", scratch, gradient, n, 2 * f, d);
            NormBackward(layer.Middle, layer.MiddleInverse, $"model.layers.{i}.post_attention_layernorm.weight", scratch, residual, gradient, n);

            var (attended, attendedGradient) = (IsLast(i) ? _memory.Selected : layer.AttentionOutput, scratch);
            _projection.Backward(residual, attended, $"model.layers.{i}.self_attn.o_proj.weight", scratch, gradient, n, d, _shape.QuerySize);
            if (_shape.AttentionBias)
            {
                BiasKernel.Backward(residual.Pointer, Gradient(gradient, $"model.layers.{i}.self_attn.o_proj.bias"), n, d);
            }

            if (IsLast(i))
            {
                n = _batch.Ids.Length;
                attendedGradient = _memory.Selected;
                Scatter(scratch, attendedGradient, _shape.QuerySize);                                                  // [N, Q]
                Scatter(residual, _memory.HiddenGradient, d);                                                          // [N, D]
                residual = _memory.HiddenGradient;
            }

            AttendBackward(layer, attendedGradient, qkvWidth, FirstQueries(i));
            _rotary.Rotate(_memory.QkvGradient.Pointer, _batch.Positions, inverse: true);
            if (_shape.HasQueryKeyNorm)
            {
                string query = $"model.layers.{i}.self_attn.q_norm.weight", key = $"model.layers.{i}.self_attn.k_norm.weight";
                _headNorm.Backward(
                    _memory.QkvGradient.Pointer, Weight(query), Weight(key), layer.RawHeads.Pointer, layer.HeadInverse.Pointer, Gradient(gradient, query), Gradient(gradient, key), n);
            }

            if (_shape.HasQueryKeyValueBias)
            {
                BiasKernel.Backward(_memory.QkvGradient.Pointer, Gradient(gradient, $"model.layers.{i}.self_attn.q_proj.bias"), n, qkvWidth);
            }

            _projection.Backward(_memory.QkvGradient, layer.AttentionInput, $"model.layers.{i}.self_attn.q_proj.weight", scratch, gradient, n, qkvWidth, d);
            NormBackward(layer.Input, layer.InputInverse, $"model.layers.{i}.input_layernorm.weight", scratch, residual, gradient, n);
        }

        EmbedBackward(_batch.Ids, residual, gradient);
    }

    public void Dispose() => _memory.Dispose();

    float* Weight(string name) => _parameters.Flat.Pointer + _parameters.OffsetOf(name);

    float* Gradient(FloatBuffer gradient, string name) => gradient.Pointer + _parameters.OffsetOf(name);

    bool IsLast(int layer) => layer == _shape.NumHiddenLayers - 1;

    /// <summary>Position in each sequence from which on attention outputs are needed.</summary>
    int[] FirstQueries(int layer) => IsLast(layer) ? _batch.FirstOutputs : _batch.Starts;

    /// <summary>Takes the wanted rows.</summary>
    void Gather(FloatBuffer all, FloatBuffer wanted, int width)
    {
        for (var m = 0; m < _batch.Outputs.Length; m++)
        {
            all.Span.Slice(_batch.Outputs[m] * width, width).CopyTo(wanted.Span.Slice(m * width, width));
        }
    }

    /// <summary>Puts the wanted rows back where they came from, and zero into all others.</summary>
    void Scatter(FloatBuffer wanted, FloatBuffer all, int width)
    {
        all.Span[..(_batch.Ids.Length * width)].Clear();
        for (var m = 0; m < _batch.Outputs.Length; m++)
        {
            wanted.Span.Slice(m * width, width).CopyTo(all.Span.Slice(_batch.Outputs[m] * width, width));
        }
    }

    static void Copy(FloatBuffer source, FloatBuffer destination, int count) => source.Span[..count].CopyTo(destination.Span);

    void Embed(int[] ids, FloatBuffer output)
    {
        var d = _shape.HiddenSize;
        var table = _parameters.Values("model.embed_tokens.weight");
        for (var t = 0; t < ids.Length; t++)
        {
            table.Slice(ids[t] * d, d).CopyTo(output.Span.Slice(t * d, d));
        }
    }

    void EmbedBackward(int[] ids, FloatBuffer outputGradient, FloatBuffer gradient)
    {
        var d = _shape.HiddenSize;
        var table = gradient.Span.Slice((int)_parameters.OffsetOf("model.embed_tokens.weight"), _shape.VocabSize * d);
        for (var t = 0; t < ids.Length; t++)
        {
            var row = table.Slice(ids[t] * d, d);
            System.Numerics.Tensors.TensorPrimitives.Add(row, outputGradient.Span.Slice(t * d, d), row);
        }
    }

    void NormBackward(FloatBuffer x, FloatBuffer inverse, string weight, FloatBuffer dy, FloatBuffer dx, FloatBuffer gradient, int rows) =>
        RmsNormKernel.Backward(
            x.Pointer, Weight(weight), inverse.Pointer, dy.Pointer, dx.Pointer, gradient.Pointer + _parameters.OffsetOf(weight), rows, _shape.HiddenSize);

    void Attend(Activations.Layer layer, int qkvWidth, int[] firstQueries)
    {
        var start = 0L;
        for (var i = 0; i < firstQueries.Length; start += _batch.Lengths[i++])
        {
            _memory.Attention.Forward(
                layer.Qkv.Pointer + start * qkvWidth, layer.AttentionOutput.Pointer + start * _shape.QuerySize,
                layer.LogSumExp.Pointer + start * _shape.NumAttentionHeads, _batch.Lengths[i], firstQueries[i]);
        }
    }

    void AttendBackward(Activations.Layer layer, FloatBuffer outputGradient, int qkvWidth, int[] firstQueries)
    {
        var start = 0L;
        for (var i = 0; i < firstQueries.Length; start += _batch.Lengths[i++])
        {
            _memory.Attention.Backward(
                layer.Qkv.Pointer + start * qkvWidth, layer.AttentionOutput.Pointer + start * _shape.QuerySize,
                layer.LogSumExp.Pointer + start * _shape.NumAttentionHeads, outputGradient.Pointer + start * _shape.QuerySize,
                _memory.QkvGradient.Pointer + start * qkvWidth, _batch.Lengths[i], firstQueries[i]);
        }
    }
}
