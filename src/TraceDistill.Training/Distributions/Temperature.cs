using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Distributions;

// R = tokens of a chunk, O = outcomes

/// <summary>T, by which logits are divided: one number, or one for each token.</summary>
public readonly struct Temperature
{
    readonly double _value;
    readonly Tensor? _each;

    /// <param name="value">Above 0.</param>
    public Temperature(double value) => (_value, _each) = (value, null);

    /// <param name="each">[R, 1] of float64, each above 0.</param>
    public Temperature(Tensor each) => (_value, _each) = (double.NaN, each);

    /// <summary>T = 1 for all.</summary>
    public static Temperature One { get; } = new(1);

    /// <summary>True where nothing changes.</summary>
    public bool IsOne => _value == 1;

    /// <returns>[R, O] z / T.</returns>
    /// <param name="logits">[R, O] z.</param>
    public Tensor Divide(Tensor logits) =>
        _each is { } each ? logits / each.to(logits.dtype)
        : _value == 1 ? logits
        : logits.Times(1 / _value);

    /// <returns>[R] T² · loss: slopes of a tempered loss shrink as 1/T² (Hinton et al., arXiv 1503.02531, section 2.1).</returns>
    /// <param name="loss">[R] at this temperature.</param>
    public Tensor Rescale(Tensor loss) =>
        _each is { } each ? loss * (each * each).squeeze(1).to(loss.dtype)
        : _value == 1 ? loss
        : loss.Times(_value * _value);
}
