using TraceDistill.Training.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace TraceDistill.Training.Models;

// N = tokens of all sequences, D = hidden, Q = query heads × head size, KV = key heads × head size, F = intermediate, V = vocabulary

/// <summary>
/// A Llama-style decoder (pre-norm, RMSNorm, rotary positions, grouped-query attention, SwiGLU) with its gradient, on the CPU in float32.
/// </summary>
/// <remarks>
/// The gradient is written out rather than recorded: nothing is allocated in a step, a thread needs no lock, and every buffer is visible.
/// Matrix products are libtorch's; what lies between them is fused in <c>Kernels/</c>. Tests hold it against libtorch's own autograd and
/// against finite differences. One object serves one thread; several share one <see cref="ModelParameters"/> and add into gradients of
/// their own.
/// </remarks>
public sealed unsafe class CausalLanguageModel : IDisposable
{
    readonly ModelParameters _parameters;
    readonly ModelConfiguration _shape;
    readonly Activations _memory;
    readonly RotaryKernel _rotary;
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
    }

    /// <summary>The name of the matrix that turns hidden states into logits: the embedding, where they are tied.</summary>
    public string OutputMatrix => _shape.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";

    /// <summary>[N, D] hidden states of the last forward pass, after the final norm.</summary>
    public FloatBuffer Hidden => _memory.Hidden;

    /// <summary>[N, D] where the loss puts the gradient of <see cref="Hidden"/> before <see cref="Backward"/>.</summary>
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
            var next = i + 1 < _shape.NumHiddenLayers ? _memory.Layers[i + 1].Input : _memory.Last;

            RmsNormKernel.Forward(layer.Input.Pointer, Weight($"model.layers.{i}.input_layernorm.weight"), layer.AttentionInput.Pointer, layer.InputInverse.Pointer, n, d, epsilon);
            _projection.Forward(layer.AttentionInput, $"model.layers.{i}.self_attn.q_proj.weight", layer.Qkv, n, qkvWidth, d);      // [N, Q + 2·KV]
            _rotary.Rotate(layer.Qkv.Pointer, batch.Positions, inverse: false);
            Attend(layer, qkvWidth);                                                                                   // [N, Q]
            Copy(layer.Input, layer.Middle, n * d);
            _projection.Forward(layer.AttentionOutput, $"model.layers.{i}.self_attn.o_proj.weight", layer.Middle, n, d, _shape.QuerySize, add: true);

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
        int n = _batch.Ids.Length, d = _shape.HiddenSize, f = _shape.IntermediateSize;
        int qkvWidth = _shape.QuerySize + 2 * _shape.KeyValueSize;
        var residual = _memory.ResidualGradient;                                                                       // [N, D]
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

            _projection.Backward(residual, layer.AttentionOutput, $"model.layers.{i}.self_attn.o_proj.weight", scratch, gradient, n, d, _shape.QuerySize);
            AttendBackward(layer, scratch, qkvWidth);
            _rotary.Rotate(_memory.QkvGradient.Pointer, _batch.Positions, inverse: true);
            _projection.Backward(_memory.QkvGradient, layer.AttentionInput, $"model.layers.{i}.self_attn.q_proj.weight", scratch, gradient, n, qkvWidth, d);
            NormBackward(layer.Input, layer.InputInverse, $"model.layers.{i}.input_layernorm.weight", scratch, residual, gradient, n);
        }

        EmbedBackward(_batch.Ids, residual, gradient);
    }

    public void Dispose() => _memory.Dispose();

    float* Weight(string name) => _parameters.Flat.Pointer + _parameters.OffsetOf(name);

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

    void Attend(Activations.Layer layer, int qkvWidth)
    {
        var start = 0L;
        foreach (var length in _batch.Lengths)
        {
            _memory.Attention.Forward(
                layer.Qkv.Pointer + start * qkvWidth, layer.AttentionOutput.Pointer + start * _shape.QuerySize,
                layer.LogSumExp.Pointer + start * _shape.NumAttentionHeads, length);
            start += length;
        }
    }

    void AttendBackward(Activations.Layer layer, FloatBuffer outputGradient, int qkvWidth)
    {
        var start = 0L;
        foreach (var length in _batch.Lengths)
        {
            _memory.Attention.Backward(
                layer.Qkv.Pointer + start * qkvWidth, layer.AttentionOutput.Pointer + start * _shape.QuerySize,
                layer.LogSumExp.Pointer + start * _shape.NumAttentionHeads, outputGradient.Pointer + start * _shape.QuerySize,
                _memory.QkvGradient.Pointer + start * qkvWidth, length);
            start += length;
        }
    }
}
