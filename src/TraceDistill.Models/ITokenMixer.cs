using static TorchSharp.torch;

namespace TraceDistill.Models;

// N = tokens of all sequences, D = hidden, W = width of what a mixer gives

/// <summary>
/// The part of a layer in which a token learns of those before it: <see cref="SelfAttention"/> or <see cref="Recurrence"/>.
/// </summary>
interface ITokenMixer
{
    /// <param name="x">[N, D], normalised where the family does so.</param>
    /// <returns>[N, W] what <see cref="Output"/> takes.</returns>
    Tensor Mix(Tensor x, PassContext pass);

    /// <summary>From W to D, the sum into the residual stream.</summary>
    Linear Output { get; }
}
