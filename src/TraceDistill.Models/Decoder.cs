using TorchSharp;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = tokens of all sequences, M = those whose hidden states are wanted, D = hidden, Q = width of query heads, KV = of key (or value) heads, F = intermediate size,
// V = vocabulary

/// <summary>
/// The decoder of Llama and Qwen (pre-norm, RMSNorm, rotary positions, grouped-query attention, SwiGLU; biases and norms of heads where a family has
/// them), differentiated by autograd. Sequences lie one after another without padding.
/// </summary>
/// <remarks>
/// Parameters are views of the weights that the decoder is made over, so that a training changes those, and their gradients are views of the buffer that
/// it is given: backward passes add to it. Several decoders over the same weights, each with a buffer of its own, may work on threads of their own.
/// Of the last layer only keys and values are needed of every token: what follows its attention is computed for the wanted tokens alone, which leaves
/// prompts out.
/// </remarks>
public sealed class Decoder : nn.Module
{
    readonly ModelConfiguration _shape;
    readonly Parameters _tensors;
    readonly Tensor _embedding;
    readonly RotaryAttention _attention;
    readonly DecoderLayer[] _layers;
    readonly Tensor _norm;
    readonly bool _gradientCheckpointing;
    readonly ScalarType _activations;

    /// <param name="weights">The weights, and which of them are trained.</param>
    /// <param name="gradient">[trained weights] what backward passes add to; null where nothing is to be trained.</param>
    /// <param name="rounded">The matrices in the precision of products; null for products in float32.</param>
    /// <param name="gradientCheckpointing">
    /// Whether the backward pass computes again what the forward pass would have kept for it: the same bits, for a fraction of the memory.
    /// </param>
    /// <param name="activations">
    /// What is computed in between products: float32, in which the CPU has kernels for it; or float64, slow and exact, by libtorch's own operations.
    /// </param>
    public Decoder(
        TrainedWeights weights, FloatBuffer? gradient = null, RoundedMatrices? rounded = null, bool gradientCheckpointing = false,
        ScalarType activations = ScalarType.Float32)
        : base(nameof(Decoder))
    {
        _shape = weights.Model.Configuration;
        (_gradientCheckpointing, _activations) = (gradientCheckpointing, activations);
        _tensors = new Parameters(weights, gradient, rounded);
        _embedding = _tensors.Matrix("model.embed_tokens.weight").Stored;
        Output = _tensors.Matrix(_shape.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight", isRounded: false);
        _attention = new RotaryAttention(_shape);
        _layers = [.. Enumerable.Range(0, _shape.NumHiddenLayers).Select(layer => new DecoderLayer(_tensors, layer, _attention))];
        _norm = _tensors.Vector("model.norm.weight")!;
    }

    /// <summary>[V, D] the matrix that turns hidden states into logits: the embedding, where they are tied. Read and trained in float32.</summary>
    internal LinearMatrix Output { get; }

    /// <summary>Hidden states of the wanted tokens.</summary>
    /// <param name="noise">A row for each token: what dropout and NEFTune draw from; null for neither.</param>
    /// <returns>[M, D] after the final norm, at the batch's <see cref="TokenBatch.Outputs"/>.</returns>
    internal Tensor Forward(TokenBatch batch, PassNoise? noise = null)
    {
        using var scope = NewDisposeScope();
        using var ids = tensor(batch.Ids, dtype: ScalarType.Int64, device: _embedding.device);
        var x = Embedding.Apply(_embedding, ids, _activations);                                     // [N, D]
        if (noise is { NeftuneAlpha: > 0 })
        {
            x = Noise.AddUniform(x, batch.Lengths, noise);
        }

        foreach (var layer in _layers)
        {
            x = Run(layer, x, batch, noise);                                                        // [N, D]; [M, D] after the last
        }

        return RmsNorm.Apply(x, _norm, _shape.RmsNormEps).MoveToOuterDisposeScope();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _attention.Dispose();
            _tensors.Dispose();
        }

        base.Dispose(disposing);
    }

    Tensor Run(DecoderLayer layer, Tensor x, TokenBatch batch, PassNoise? noise)
    {
        var isRecorded = is_grad_enabled() && (layer.IsTrained || x.requires_grad);
        return _gradientCheckpointing && isRecorded && !layer.IsLast
            ? Checkpoint.Apply(input => layer.Forward(input, batch, noise), x)
            : layer.Forward(x, batch, noise);
    }
}

/// <summary>Attention and MLP, each with a norm before it and added to the residual stream.</summary>
sealed class DecoderLayer
{
    readonly ModelConfiguration _shape;
    readonly Tensor _attentionNorm, _mlpNorm;
    readonly Tensor? _queryNorm, _keyNorm;
    readonly Linear _qkv, _output, _gateUp, _down;
    readonly RotaryAttention _attention;

    public DecoderLayer(Parameters parameters, int layer, RotaryAttention rotaryAttention)
    {
        (_shape, _attention) = (parameters.Shape, rotaryAttention);
        IsLast = layer == _shape.NumHiddenLayers - 1;
        string prefix = $"model.layers.{layer}.", attention = prefix + "self_attn.", mlp = prefix + "mlp.";
        _attentionNorm = parameters.Vector(prefix + "input_layernorm.weight")!;
        _qkv = new Linear(parameters, attention + "q_proj", attention + "k_proj", attention + "v_proj");
        _queryNorm = parameters.Vector(attention + "q_norm.weight");
        _keyNorm = parameters.Vector(attention + "k_norm.weight");
        _output = new Linear(parameters, attention + "o_proj");
        _mlpNorm = parameters.Vector(prefix + "post_attention_layernorm.weight")!;
        _gateUp = new Linear(parameters, mlp + "gate_proj", mlp + "up_proj");
        _down = new Linear(parameters, mlp + "down_proj");
        IsTrained = parameters.IsTrained(prefix);
    }

    public bool IsLast { get; }

    /// <summary>Whether anything of it is trained.</summary>
    public bool IsTrained { get; }

    /// <param name="x">[N, D] the residual stream.</param>
    /// <returns>[N, D]; [M, D] of the last layer.</returns>
    public Tensor Forward(Tensor x, TokenBatch batch, PassNoise? noise)
    {
        using var scope = NewDisposeScope();
        var attended = Attend(x, batch, noise);                                                    // [N, Q]
        if (IsLast && batch.Outputs.Length < batch.Ids.Length)
        {
            using var wanted = tensor(batch.Outputs, dtype: ScalarType.Int64, device: x.device);
            (x, attended, noise) = (x.index_select(0, wanted), attended.index_select(0, wanted), noise?.Of(batch.Outputs)); // from here on N is M
        }

        x = _output.Apply(attended, noise, residual: x);                                           // [N, D]
        var gateUp = _gateUp.Apply(RmsNorm.Apply(x, _mlpNorm, _shape.RmsNormEps), noise);           // [N, 2·F]
        return _down.Apply(GatedActivation.Apply(gateUp), noise, residual: x).MoveToOuterDisposeScope();
    }

    Tensor Attend(Tensor x, TokenBatch batch, PassNoise? noise)
    {
        var qkv = _qkv.Apply(RmsNorm.Apply(x, _attentionNorm, _shape.RmsNormEps), noise);           // [N, Q + 2·KV]
        if (_queryNorm is not null)
        {
            qkv = HeadNorm.Apply(qkv, _queryNorm, _keyNorm!, _shape);
        }

        return _attention.Apply(qkv, batch, IsLast ? batch.FirstOutputs : batch.Starts);
    }
}
