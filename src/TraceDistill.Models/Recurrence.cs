using TraceDistill.Models.Operations;
using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = tokens of all sequences, D = hidden, E = channels of the state

/// <summary>
/// minGRU in place of attention (Feng et al., arXiv 2410.01201): a state of fixed size that every token changes by a gate and a
/// candidate, both made of the token alone, and, where the model has one, a short causal convolution before them, as in Griffin
/// (De et al., arXiv 2402.19427, section 2.4) and Mamba.
/// </summary>
sealed class Recurrence : ITokenMixer
{
    readonly Weight? _convolution;
    readonly Linear _gates;
    readonly int _layer;

    public Recurrence(Parameters parameters, int layer)
    {
        _layer = layer;
        var prefix = $"model.layers.{layer}.mixer.";
        _convolution = parameters.Vector(prefix + "conv.weight");
        _gates = new Linear(parameters, prefix + "z_proj", prefix + "h_proj");
        Output = new Linear(parameters, prefix + "o_proj");
    }

    public Linear Output { get; }

    /// <returns>[N, E].</returns>
    public Tensor Mix(Tensor x, PassContext pass)
    {
        var rows = pass.States?.Rows ?? pass.Rows!;
        if (_convolution is not null)
        {
            var former = pass.States?.Tail(_layer, x.shape[1]);
            var mixed = CausalConvolution.Apply(x, _convolution.Read(), rows, former);
            pass.States?.StoreTail(_layer, x, former!);
            x = mixed;
        }

        var states = MinGru.Apply(_gates.Apply(x, pass.Noise), rows, pass.States?.State(_layer)); // [N, 2·E] → [N, E]
        pass.States?.StoreState(_layer, states);
        return states.to(x.dtype);
    }
}
