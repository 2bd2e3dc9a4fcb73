using TraceDistill.Training.Adapters;
using TraceDistill.Training.Kernels;
using TorchSharp;
using static TorchSharp.torch;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

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
/// the wanted tokens alone, which leaves prompts out. The backward pass ends at the lowest layer in which something is trained. One object
/// serves one thread; several share the weights and add into gradients of their own.
/// </remarks>
public sealed unsafe class CausalLanguageModel : IDisposable
{
    const string Embedding = "model.embed_tokens.weight";
    const int NeftunePurpose = 0;
    readonly IDecoderWeights _parameters;
    readonly ModelConfiguration _shape;
    readonly Activations _memory;
    readonly RotaryKernel _rotary;
    readonly HeadNormKernel _headNorm;
    readonly Projection _projection;
    readonly DecoderLinears[] _linears;
    readonly LoraPass? _lora;
    readonly int _lowest;
    TokenBatch _batch = new([], []);
    PassNoise? _noise, _wantedNoise;

    /// <param name="weights">The weights, and which of them are trained.</param>
    /// <param name="projection">The linear layers over the same weights; may be shared by several threads.</param>
    /// <param name="gradientCheckpointing">
    /// Whether the backward pass computes again what the forward pass would have kept for it: the same bits, for a fraction of the memory.
    /// </param>
    public CausalLanguageModel(TrainedWeights weights, Projection projection, bool gradientCheckpointing = false)
    {
        Trained = weights;
        _parameters = weights.Model;
        _projection = projection;
        _shape = _parameters.Configuration;
        _linears = [.. Enumerable.Range(0, _shape.NumHiddenLayers).Select(layer => DecoderLinears.Of(layer, weights))];
        _lora = weights.Adapter is { } adapter ? new LoraPass(adapter, projection, _linears, gradientCheckpointing) : null;
        _lowest = weights.Contains(Embedding) ? -1 : Enumerable.Range(0, _shape.NumHiddenLayers)
            .FirstOrDefault(layer => weights.Names.Any(name => name.StartsWith($"model.layers.{layer}.", StringComparison.Ordinal)), _shape.NumHiddenLayers);
        _memory = new Activations(_shape, gradientCheckpointing);
        _rotary = new RotaryKernel(_shape);
        _headNorm = new HeadNormKernel(_shape);
    }

    /// <summary>The name of the matrix that turns hidden states into logits: the embedding, where they are tied.</summary>
    public string OutputMatrix => _shape.TieWordEmbeddings ? Embedding : "lm_head.weight";

    /// <summary>The weights of which <see cref="Backward"/> gives the gradient.</summary>
    public TrainedWeights Trained { get; }

    /// <summary>[M, D] hidden states of the last forward pass at the batch's <see cref="TokenBatch.Outputs"/>, after the final norm.</summary>
    public FloatBuffer Hidden => _memory.Hidden;

    /// <summary>[M, D] where the loss puts the gradient of <see cref="Hidden"/> before <see cref="Backward"/>.</summary>
    public FloatBuffer HiddenGradient => _memory.HiddenGradient;

    /// <summary>Bytes that the passes so far have needed room for, beside weights and gradients.</summary>
    public long ActivationBytes => _memory.Bytes + (_lora?.Bytes ?? 0);

    /// <summary>Runs all layers; the result is in <see cref="Hidden"/>.</summary>
    public void Forward(TokenBatch batch) => Forward(batch, noise: null);

    /// <summary>As above, as training has it.</summary>
    /// <param name="noise">A row for each token: what dropout and NEFTune draw from; null for neither.</param>
    internal void Forward(TokenBatch batch, PassNoise? noise)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        int n = batch.Ids.Length, d = _shape.HiddenSize;
        (_batch, _noise, _wantedNoise) = (batch, noise, noise?.Of(batch.Outputs));
        if (_memory.Reserve(n))
        {
            _lora?.Reserve(_memory.Capacity);
        }

        Embed(batch.Ids, _memory.Layers[0].Input);
        if (noise is { NeftuneAlpha: > 0 })
        {
            NoiseKernel.AddUniform(_memory.Layers[0].Input.Pointer, batch.Lengths, d, noise.NeftuneAlpha, noise, NeftunePurpose);
        }

        for (var i = 0; i < _shape.NumHiddenLayers; i++)
        {
            var (layer, next) = (_memory.Layers[i], IsLast(i) ? _memory.Last : _memory.Layers[i + 1].Input);
            ForwardLayer(i);
            (n, noise) = IsLast(i) ? (batch.Outputs.Length, _wantedNoise) : (n, noise);
            Copy(layer.Middle, next, n * d);
            Project(_linears[i].Down, layer.MlpActivation, next, n, noise, add: true);
        }

        RmsNormKernel.Forward(_memory.Last.Pointer, Weight("model.norm.weight"), _memory.Hidden.Pointer, _memory.LastInverse.Pointer, n, d, (float)_shape.RmsNormEps);
    }

    /// <summary>Computes all that a layer keeps, from its input on.</summary>
    void ForwardLayer(int i)
    {
        int n = _batch.Ids.Length, d = _shape.HiddenSize, qkvWidth = _shape.QuerySize + 2 * _shape.KeyValueSize;
        var epsilon = (float)_shape.RmsNormEps;
        var (layer, linears, noise) = (_memory.Layers[i], _linears[i], _noise);
        RmsNormKernel.Forward(layer.Input.Pointer, Weight($"model.layers.{i}.input_layernorm.weight"), layer.AttentionInput.Pointer, layer.InputInverse.Pointer, n, d, epsilon);
        Project(linears.Qkv, layer.AttentionInput, layer.Qkv, n, noise);                                               // [N, Q + 2·KV]
        if (_shape.HasQueryKeyValueBias)
        {
            BiasKernel.Forward(layer.Qkv.Pointer, Weight($"model.layers.{i}.self_attn.q_proj.bias"), n, qkvWidth);     // k's and v's follow q's
        }

        if (_shape.HasQueryKeyNorm)
        {
            _headNorm.Forward(layer.Qkv.Pointer, Weight($"model.layers.{i}.self_attn.q_norm.weight"), Weight($"model.layers.{i}.self_attn.k_norm.weight"), layer.RawHeads.Pointer, layer.HeadInverse.Pointer, n);
        }

        _rotary.Rotate(layer.Qkv.Pointer, _batch.Positions, inverse: false);
        Attend(layer, qkvWidth, FirstQueries(i));                                                                      // [N, Q]
        var attended = layer.AttentionOutput;
        if (IsLast(i))
        {
            attended = _memory.Selected;
            (n, noise) = (_batch.Outputs.Length, _wantedNoise);
            Gather(layer.AttentionOutput, attended, _shape.QuerySize);                                                 // [M, Q]
            Gather(layer.Input, layer.Middle, d);                                                                      // [M, D]; from here on N is M
        }
        else
        {
            Copy(layer.Input, layer.Middle, n * d);
        }

        Project(linears.Output, attended, layer.Middle, n, noise, add: true);
        if (_shape.AttentionBias)
        {
            BiasKernel.Forward(layer.Middle.Pointer, Weight($"model.layers.{i}.self_attn.o_proj.bias"), n, d);
        }

        RmsNormKernel.Forward(layer.Middle.Pointer, Weight($"model.layers.{i}.post_attention_layernorm.weight"), layer.MlpInput.Pointer, layer.MiddleInverse.Pointer, n, d, epsilon);
        Project(linears.GateUp, layer.MlpInput, layer.GateUp, n, noise);                                               // [N, 2·F]
        SwiGluKernel.Forward(layer.GateUp.Pointer, layer.MlpActivation.Pointer, n, _shape.IntermediateSize);            // [N, F]
    }

    /// <summary>
    /// Passes <see cref="HiddenGradient"/> back through the layers of the last forward pass and adds to <paramref name="gradient"/>, a
    /// buffer laid out as <see cref="Trained"/> has it. Uses the activations up: one backward pass for one forward pass.
    /// </summary>
    public void Backward(FloatBuffer gradient)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        int n = _batch.Outputs.Length, d = _shape.HiddenSize, f = _shape.IntermediateSize;
        int qkvWidth = _shape.QuerySize + 2 * _shape.KeyValueSize;
        var residual = _memory.ResidualGradient;                                                                       // [M, D]
        var scratch = _memory.Scratch;
        var noise = _wantedNoise;
        residual.Span[..(n * d)].Clear();
        NormBackward(_memory.Last, _memory.LastInverse, "model.norm.weight", _memory.HiddenGradient, residual, gradient, n);
        for (var i = _shape.NumHiddenLayers - 1; i >= Math.Max(0, _lowest); i--)
        {
            var (layer, linears) = (_memory.Layers[i], _linears[i]);
            if (_memory.IsCheckpointed && !IsLast(i))
            {
                ForwardLayer(i); // what it kept has been overwritten by the layer after it
                _lora?.Recompute(linears.Down, layer.MlpActivation, n, noise);
            }

            ProjectBackward(linears.Down, residual, layer.MlpActivation, scratch, gradient, n, noise);
            SwiGluKernel.Backward(layer.GateUp.Pointer, scratch.Pointer, n, f);
            ProjectBackward(linears.GateUp, layer.GateUp, layer.MlpInput, scratch, gradient, n, noise);
            NormBackward(layer.Middle, layer.MiddleInverse, $"model.layers.{i}.post_attention_layernorm.weight", scratch, residual, gradient, n);

            var (attended, attendedGradient) = (IsLast(i) ? _memory.Selected : layer.AttentionOutput, scratch);
            ProjectBackward(linears.Output, residual, attended, scratch, gradient, n, noise);
            if (_shape.AttentionBias)
            {
                BiasBackward(linears.Output, residual, gradient, n);
            }

            if (IsLast(i))
            {
                (n, noise) = (_batch.Ids.Length, _noise);
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
                BiasBackward(linears.Qkv, _memory.QkvGradient, gradient, n);
            }

            var norm = $"model.layers.{i}.input_layernorm.weight";
            var goesOn = i > _lowest || Trained.Contains(norm);
            ProjectBackward(linears.Qkv, _memory.QkvGradient, layer.AttentionInput, goesOn ? scratch : null, gradient, n, noise);
            if (goesOn)
            {
                NormBackward(layer.Input, layer.InputInverse, norm, scratch, residual, gradient, n);
            }
        }

        EmbedBackward(_batch.Ids, residual, gradient);
    }

    public void Dispose()
    {
        _lora?.Dispose();
        _memory.Dispose();
    }

    float* Weight(string name) => _parameters.Vectors.Flat.Pointer + _parameters.Vectors.OffsetOf(name);

    /// <returns>Where the named weight's gradient is added up; null where it is frozen.</returns>
    float* Gradient(FloatBuffer gradient, string name) => Trained.OffsetOf(name) is { } offset ? gradient.Pointer + offset : null;

    bool IsLast(int layer) => layer == _shape.NumHiddenLayers - 1;

    /// <summary>Position in each sequence from which on attention outputs are needed.</summary>
    int[] FirstQueries(int layer) => IsLast(layer) ? _batch.FirstOutputs : _batch.Starts;

    /// <summary>Takes the wanted rows.</summary>
    void Gather(FloatBuffer all, FloatBuffer wanted, int width)
    {
        for (var m = 0; m < _batch.Outputs.Length; m++)
        {
            all.Slice((long)_batch.Outputs[m] * width, width).CopyTo(wanted.Slice((long)m * width, width));
        }
    }

    /// <summary>Puts the wanted rows back where they came from, and zero into all others.</summary>
    void Scatter(FloatBuffer wanted, FloatBuffer all, int width)
    {
        all.Span[..(_batch.Ids.Length * width)].Clear();
        for (var m = 0; m < _batch.Outputs.Length; m++)
        {
            wanted.Slice((long)m * width, width).CopyTo(all.Slice((long)_batch.Outputs[m] * width, width));
        }
    }

    static void Copy(FloatBuffer source, FloatBuffer destination, int count) => source.Span[..count].CopyTo(destination.Span);

    void Embed(int[] ids, FloatBuffer output)
    {
        var d = _shape.HiddenSize;
        for (var t = 0; t < ids.Length; t++)
        {
            _parameters.Read(Embedding, (long)ids[t] * d, output.Slice((long)t * d, d));
        }
    }

    void EmbedBackward(int[] ids, FloatBuffer outputGradient, FloatBuffer gradient)
    {
        if (Trained.OffsetOf(Embedding) is not { } offset)
        {
            return;
        }

        var d = _shape.HiddenSize;
        for (var t = 0; t < ids.Length; t++)
        {
            var row = gradient.Slice(offset + (long)ids[t] * d, d);
            TensorPrimitives.Add(row, outputGradient.Slice((long)t * d, d), row);
        }
    }

    void NormBackward(FloatBuffer x, FloatBuffer inverse, string weight, FloatBuffer dy, FloatBuffer dx, FloatBuffer gradient, int rows) =>
        RmsNormKernel.Backward(
            x.Pointer, Weight(weight), inverse.Pointer, dy.Pointer, dx.Pointer, Gradient(gradient, weight), rows, _shape.HiddenSize);

    void Project(FusedLinear linear, FloatBuffer x, FloatBuffer y, int rows, PassNoise? noise, bool add = false)
    {
        if (_lora?.Linears.Contains(linear) == true)
        {
            _lora.Forward(linear, x, y, rows, add, noise);
        }
        else
        {
            _projection.Forward(x, linear, y, rows, add);
        }
    }

    void ProjectBackward(FusedLinear linear, FloatBuffer dy, FloatBuffer x, FloatBuffer? dx, FloatBuffer gradient, int rows, PassNoise? noise)
    {
        if (_lora?.Linears.Contains(linear) == true)
        {
            _lora.Backward(linear, dy, x, dx, gradient, rows, noise);
        }
        else
        {
            _projection.Backward(dy, x, linear, dx, gradient, rows);
        }
    }

    void BiasBackward(FusedLinear linear, FloatBuffer dy, FloatBuffer gradient, int rows)
    {
        foreach (var module in linear.Modules)
        {
            if (Trained.OffsetOf(module.Bias) is { } offset)
            {
                BiasKernel.Backward(dy.Pointer + module.First, linear.Columns, gradient.Pointer + offset, rows, module.Columns);
            }
        }
    }

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
