using TraceDistill.Models.Configuration;
using TraceDistill.Models.Operations;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace TraceDistill.Models;

// N = tokens of all sequences, M = those whose hidden states are wanted, D = hidden, W = width
// of what a token mixer gives, F = intermediate size, V = vocabulary

/// <summary>
/// The decoder of every <see cref="ModelFamily"/> (RMSNorm, attention or a recurrence, gated MLP or experts, and
/// what a family has of its own), differentiated by autograd. Sequences lie one after another without padding.
/// </summary>
/// <remarks>
/// Parameters, by Hugging Face's names, are views of the weights that the decoder is made over, so that a training changes those, and
/// their gradients are views of the buffer that it is given: backward passes add to it. Several decoders over the same
/// weights, each with a buffer of its own, may work on threads of their own. Of the last layer only keys and values (or states) are
/// needed of every token: what follows its attention is computed for the wanted tokens alone, which leaves prompts out.
/// </remarks>
public sealed class Decoder : nn.Module
{
    readonly ModelConfiguration _shape;
    readonly Parameters _tensors;
    readonly Weight _embedding;
    readonly Weight? _bias;
    readonly Dictionary<LayerAttention, RotaryAttention> _attention;
    readonly DecoderLayer[] _layers;
    readonly Norm _norm;
    readonly PictureEncoder? _pictures;
    readonly bool _gradientCheckpointing;
    readonly ScalarType _activations;
    bool _isRegistered;

    /// <param name="weights">The weights, and which of them are trained.</param>
    /// <param name="gradient">[trained weights] what backward passes add to; null where nothing is to be trained.</param>
    /// <param name="rounded">The matrices as passes read them; null where that is as they are held, and products are in float32.</param>
    /// <param name="gradientCheckpointing">
    /// True to compute activations again in the backward pass: the same bits, for a fraction of the memory.
    /// </param>
    /// <param name="activations">
    /// Dtype of the computation between products: float32, in which the CPU has kernels for it; bfloat16, or float16 where nothing is
    /// trained, with norms, softmax and rotations in float32; or float64, slow and exact. All but the first by libtorch's own operations.
    /// </param>
    public Decoder(
        TrainedWeights weights,
        FloatBuffer? gradient = null,
        RoundedMatrices? rounded = null,
        bool gradientCheckpointing = false,
        ScalarType activations = ScalarType.Float32
    )
        : base(nameof(Decoder))
    {
        _shape = weights.Model.Configuration;
        (_gradientCheckpointing, _activations) = (gradientCheckpointing, activations);
        _tensors = new Parameters(weights, gradient, rounded);
        _embedding = _tensors.Matrix("model.embed_tokens.weight").Weight;
        Output = _tensors.Matrix(
            _shape.Head is not null ? ClassificationHead.Weight
                : _shape.TieWordEmbeddings ? "model.embed_tokens.weight"
                : "lm_head.weight",
            isRounded: _shape.Head is null
        );
        _bias = _shape.Head is null ? null : _tensors.Vector(ClassificationHead.Bias);
        int[] layers = [.. Enumerable.Range(0, _shape.NumHiddenLayers)];
        _attention = layers
            .Where(_ => _shape.Recurrence is null)
            .Select(_shape.AttentionOf)
            .Distinct()
            .ToDictionary(kind => kind, kind => new RotaryAttention(_shape, kind));
        _layers = [.. layers.Select(layer => new DecoderLayer(_tensors, layer, MixerOf(layer)))];
        _norm = Norm.Find(_tensors, "model.norm.weight")!;
        _pictures = _shape.Pictures is { } pictures
            ? new PictureEncoder(
                pictures,
                name => _tensors.Vector(name)!,
                activations == ScalarType.Float64 ? activations : ScalarType.Float32
            )
            : null;
    }

    /// <summary>
    /// [V, D] the matrix that turns hidden states into logits, in float32: the embedding, where they are tied; of a classifier [labels, D].
    /// </summary>
    internal LinearMatrix Output { get; }

    /// <summary>c, where logits z are c · tanh(z / c); null where they stay.</summary>
    internal double? LogitSoftCap => _shape.LogitSoftCap;

    /// <summary>Hidden states of the wanted tokens.</summary>
    /// <returns>[M, D] after the final norm, at the batch's <see cref="TokenBatch.Outputs"/>.</returns>
    public Tensor Forward(TokenBatch batch) => Forward(batch, noise: null);

    /// <summary>Hidden states of the wanted tokens, and what else is asked for.</summary>
    /// <param name="captured">Takes what it asks for.</param>
    /// <returns>[M, D] after the final norm, at the batch's <see cref="TokenBatch.Outputs"/>.</returns>
    /// <exception cref="Text.Errors.InvalidInputException">It asks for attention maps or values of a recurrent model.</exception>
    public Tensor Forward(TokenBatch batch, Captured captured) => Forward(batch, noise: null, captured);

    /// <summary>Hidden states of the wanted tokens.</summary>
    /// <param name="noise">A row for each token: what dropout and NEFTune draw from; null for neither.</param>
    /// <param name="captured">Takes what it asks for; null: nothing is kept.</param>
    /// <param name="balance">
    /// Takes the load-balancing losses of layers with experts, whose gradients then flow with
    /// those of the hidden states; null: there are none.
    /// </param>
    /// <returns>[M, D] after the final norm, at the batch's <see cref="TokenBatch.Outputs"/>.</returns>
    internal Tensor Forward(TokenBatch batch, PassNoise? noise = null, Captured? captured = null, RouterBalance? balance = null) =>
        Forward(batch, new PassContext(batch, noise, captured, balance));

    /// <summary>What takes the load-balancing losses of a pass; null where the model has none.</summary>
    internal RouterBalance? Balance(TokenBatch batch) => RouterBalance.Of(_shape, batch);

    /// <summary>What leaves a layer as logits take it: after the final norm.</summary>
    /// <param name="x">[M, D] the residual stream.</param>
    internal Tensor Normalized(Tensor x) => _norm.Apply(x);

    /// <summary>Hidden states of tokens whose sequences began in former passes.</summary>
    /// <param name="batch">The tokens of this pass; their lengths count for nothing.</param>
    /// <param name="rows">Where each token stands, and where keys and values of its sequence are.</param>
    /// <returns>[M, D] after the final norm, at the batch's <see cref="TokenBatch.Outputs"/>.</returns>
    internal Tensor Forward(TokenBatch batch, CachedRows rows) =>
        Forward(batch, new PassContext(batch, null, null, null) { Cached = rows });

    /// <summary>As above, of a recurrent model.</summary>
    /// <param name="batch">The tokens of this pass; their lengths count for nothing.</param>
    /// <param name="rows">Whose states they go on from.</param>
    internal Tensor Forward(TokenBatch batch, RecurrentRows rows) =>
        Forward(batch, new PassContext(batch, null, null, null) { States = rows });

    /// <summary>Logits of labels, z = W·h (+ b), which a gradient may be computed of.</summary>
    /// <param name="hidden">[M, D].</param>
    /// <returns>[M, L] in float32, or in float64 where the passes are in it.</returns>
    internal Tensor LabelLogits(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        var logits = Output.Apply(hidden.Wide());
        return (_bias is null ? logits : logits.Plus(_bias.Read().to(logits.dtype))).MoveToOuterDisposeScope();
    }

    /// <summary>z = W·h, with the family's soft cap; no gradient is recorded.</summary>
    /// <param name="hidden">[M, D].</param>
    /// <returns>[M, V] in float32, whatever the matrix is stored in.</returns>
    public Tensor Logits(Tensor hidden)
    {
        using var noGrad = no_grad();
        var logits = Output.ApplyStored(hidden.to(ScalarType.Float32));
        return _shape.LogitSoftCap is { } cap ? SoftCap.Apply(logits, cap) : logits;
    }

    Tensor Forward(TokenBatch batch, PassContext pass)
    {
        pass.Captured?.Ensure(_shape);
        using var scope = NewDisposeScope();
        int[] tokens = _pictures is null ? batch.Ids : [.. batch.Ids.Select(id => Math.Max(0, id))];
        using var ids = tensor(tokens, dtype: ScalarType.Int64, device: _embedding.Stored.device);
        var x = Embedding.Apply(_embedding, ids, _activations); // [N, D]
        x = _shape.Traits.ScalesEmbedding ? x.Times(Math.Sqrt(_shape.HiddenSize)) : x;
        x = WithPictures(x, batch);
        if (pass.Noise is { NeftuneAlpha: > 0 } noise)
        {
            x = Noise.AddUniform(x, batch.Lengths, noise);
        }

        if (pass is { Cached: null, States: null })
        {
            pass = WithSequences(pass, x);
        }

        foreach (var layer in _layers)
        {
            x = Run(layer, x, pass); // [N, D]; [M, D] after the last
            pass.Captured?.AddHiddenState(layer.Index, x);
        }

        return _norm.Apply(x).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Every weight, and every one of an adapter, by its name in Hugging Face's files. Made when first asked for: passes have views of
    /// their own, in which queries, keys and values are one matrix.
    /// </summary>
    public override IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
    {
        Register();
        return base.named_parameters(recurse);
    }

    /// <inheritdoc cref="named_parameters"/>
    public override Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor>? destination = null, string? prefix = null)
    {
        Register();
        return base.state_dict(destination, prefix);
    }

    protected override void Dispose(bool disposing)
    {
        _isRegistered = true; // the base class asks for what it is to free
        if (disposing)
        {
            foreach (var attention in _attention.Values)
            {
                attention.Dispose();
            }

            _tensors.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Vectors of pictures in the places that are theirs.</summary>
    /// <param name="x">[N, D].</param>
    /// <exception cref="ArgumentException">There are not as many vectors as places.</exception>
    Tensor WithPictures(Tensor x, TokenBatch batch)
    {
        // Texts have none, and every step of a generation comes by here.
        long[] places = batch.Ids.AsSpan().Contains(PicturePrompt.Token)
            ? [.. batch.Ids.Index().Where(token => token.Item == PicturePrompt.Token).Select(token => (long)token.Index)]
            : [];
        var vectors = batch.PictureVectors?.Length / _shape.HiddenSize ?? batch.Pictures.Count * (_shape.Pictures?.Patches ?? 0);
        if (places.Length != vectors)
        {
            throw new ArgumentException($"{places.Length} places for {vectors} vectors of pictures", nameof(batch));
        }

        if (places.Length == 0)
        {
            return x;
        }

        using var rows = tensor(places, device: x.device);
        var made = batch.PictureVectors is { } given
            ? tensor(given, [places.Length, _shape.HiddenSize], device: x.device)
            : _pictures!.Forward(batch.Pictures, x.device);
        return x.index_copy(0, rows, made.to(x.dtype));
    }

    ITokenMixer MixerOf(int layer) =>
        _shape.Recurrence is null
            ? new SelfAttention(_tensors, layer, _attention[_shape.AttentionOf(layer)])
            : new Recurrence(_tensors, layer);

    /// <summary>The layout of sequences that layers need. It outlives a pass: the way back needs it again.</summary>
    PassContext WithSequences(PassContext pass, Tensor x)
    {
        var takesKernels = CustomGradient.TakesKernels(x);
        if (_shape.Recurrence is { } recurrence)
        {
            var lengths = pass.Batch.Lengths;
            return pass with
            {
                Rows = takesKernels
                    ? new SequenceRows(lengths)
                    : new SequenceRows(lengths, recurrence.ConvKernel, x.Wide().dtype, x.device).MoveToOuterDisposeScope(),
            };
        }

        return takesKernels ? pass : pass with { Groups = new LengthGroups(pass.Batch, _shape, x.device).MoveToOuterDisposeScope() };
    }

    void Register()
    {
        if (!_isRegistered)
        {
            _isRegistered = true;
            foreach (var (name, value) in _tensors.Named())
            {
                register_parameter(name, value);
            }
        }
    }

    Tensor Run(DecoderLayer layer, Tensor x, PassContext pass)
    {
        var isRecorded = is_grad_enabled() && (layer.IsTrained || x.requires_grad);
        return _gradientCheckpointing && isRecorded && !layer.IsLast && pass.Captured?.IsWithin(layer.Index) != true
            ? Checkpoint.Apply(input => layer.Forward(input, pass), x)
            : layer.Forward(x, pass);
    }
}

/// <summary>One way through all layers.</summary>
/// <param name="Noise">A row for each token; null for none.</param>
/// <param name="Captured">Takes what it asks for; null: nothing is kept.</param>
/// <param name="Balance">Takes the load-balancing losses; null: there are none.</param>
sealed record PassContext(TokenBatch Batch, PassNoise? Noise, Captured? Captured, RouterBalance? Balance)
{
    /// <summary>The batch in groups of like length, for attention where no kernels are used.</summary>
    public LengthGroups? Groups { get; init; }

    /// <summary>Where sequences begin, for a recurrence over whole ones.</summary>
    public SequenceRows? Rows { get; init; }

    /// <summary>In generation: where keys and values are; null in a pass over whole sequences.</summary>
    public CachedRows? Cached { get; init; }

    /// <summary>In generation by a recurrent model: the states that sequences go on from; null in a pass over whole ones.</summary>
    public RecurrentRows? States { get; init; }
}

/// <summary>
/// A token mixer and then MLP (or experts), each added to the residual stream, with norms where <see cref="NormPlacement"/> has them.
/// </summary>
sealed class DecoderLayer
{
    readonly ModelConfiguration _shape;
    readonly Norm? _mixerNorm,
        _afterMixer,
        _mlpNorm,
        _afterMlp;
    readonly ITokenMixer _mixer;
    readonly GatedMlp? _mlp;
    readonly ExpertLayer? _experts;

    public DecoderLayer(Parameters parameters, int layer, ITokenMixer mixer)
    {
        (_shape, _mixer, Index) = (parameters.Shape, mixer, layer);
        var prefix = $"model.layers.{layer}.";
        var isBefore = _shape.Traits.Norms == NormPlacement.Before;
        _mixerNorm = Norm.Find(parameters, prefix + "input_layernorm.weight");
        _afterMixer = isBefore ? null : Norm.Find(parameters, prefix + "post_attention_layernorm.weight");
        _mlpNorm = Norm.Find(parameters, prefix + (isBefore ? "post_attention_layernorm.weight" : "pre_feedforward_layernorm.weight"));
        _afterMlp = Norm.Find(parameters, prefix + "post_feedforward_layernorm.weight");
        _experts = _shape.HasExperts(layer) ? new ExpertLayer(parameters, prefix) : null;
        _mlp =
            _experts is not null ? null
            : _shape.Traits.FusesProjections ? new GatedMlp(parameters, prefix + "mlp.down_proj", prefix + "mlp.gate_up_proj")
            : new GatedMlp(parameters, prefix + "mlp.down_proj", prefix + "mlp.gate_proj", prefix + "mlp.up_proj");
        IsTrained = parameters.IsTrained(prefix);
    }

    /// <summary>From 0.</summary>
    public int Index { get; }

    public bool IsLast => Index == _shape.NumHiddenLayers - 1;

    /// <summary>True where anything of it is trained.</summary>
    public bool IsTrained { get; }

    /// <param name="x">[N, D] the residual stream.</param>
    /// <returns>[N, D]; [M, D] of the last layer.</returns>
    public Tensor Forward(Tensor x, PassContext pass)
    {
        using var scope = NewDisposeScope();
        var (batch, noise) = (pass.Batch, pass.Noise);
        var mixed = _mixer.Mix(_mixerNorm is null ? x : _mixerNorm.Apply(x), pass); // [N, W]
        if (IsLast && batch.Outputs.Length < batch.Ids.Length)
        {
            using var wanted = tensor(batch.Outputs, dtype: ScalarType.Int64, device: x.device);
            // from here on N is M
            (x, mixed, noise) = (x.index_select(0, wanted), mixed.index_select(0, wanted), noise?.Of(batch.Outputs));
        }

        x = _afterMixer is null
            ? _mixer.Output.Apply(mixed, noise, residual: x)
            : x.Plus(_afterMixer.Apply(_mixer.Output.Apply(mixed, noise))); // [N, D]
        var input = _mlpNorm is null ? x : _mlpNorm.Apply(x);
        x = _afterMlp is null ? FeedForward(input, noise, x, pass) : x.Plus(_afterMlp.Apply(FeedForward(input, noise, null, pass)));
        return x.MoveToOuterDisposeScope();
    }

    Tensor FeedForward(Tensor x, PassNoise? noise, Tensor? residual, PassContext pass) =>
        _mlp?.Apply(x, noise, residual) ?? _experts!.Apply(x, noise, residual, Index, pass.Balance);
}

/// <summary>A root-mean-square norm and its weight.</summary>
sealed class Norm
{
    readonly Weight _weight;
    readonly ModelConfiguration _shape;

    Norm(Weight weight, ModelConfiguration shape) => (_weight, _shape) = (weight, shape);

    /// <returns>The norm of this weight; null where the model has none of the name.</returns>
    public static Norm? Find(Parameters parameters, string weight) =>
        parameters.Vector(weight) is { } values ? new Norm(values, parameters.Shape) : null;

    /// <param name="x">[N, D].</param>
    public Tensor Apply(Tensor x) => RmsNorm.Apply(x, Factors(x.dtype), _shape.RmsNormEps);

    /// <summary>Factors: w, or 1 + w.</summary>
    public Tensor Factors(ScalarType activations)
    {
        var weight = _weight.Read();
        return !_shape.Traits.NormsAddOne ? weight : (activations == ScalarType.Float64 ? weight.to(activations) : weight).Plus(1);
    }
}
