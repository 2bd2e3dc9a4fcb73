using System.Runtime.InteropServices;
using TraceDistill.Models.Tensors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Teaching;

// R = tokens, D = the student's hidden size, M = teachers, F = D + 2 M + 1 inputs

/// <summary>
/// Weighs several teachers at each token: a = W x, where x is the student's last hidden state at length 1, log-probability of the most
/// probable token and entropy of each teacher, and 1. It begins with W = 0, and so with the weights that the teachers have without it.
/// </summary>
public sealed class TeacherGate
{
    readonly int _teachers,
        _inputs;
    readonly float[] _weights,
        _mean,
        _meanSquare;

    /// <param name="teachers">M.</param>
    /// <param name="hiddenSize">D.</param>
    public TeacherGate(int teachers, int hiddenSize)
    {
        (_teachers, _inputs) = (teachers, hiddenSize + (2 * teachers) + 1);
        (_weights, _mean, _meanSquare) = (new float[_teachers * _inputs], new float[_teachers * _inputs], new float[_teachers * _inputs]);
    }

    /// <summary>[M · F] W.</summary>
    public Span<float> Weights => _weights;

    /// <summary>[M · F] moments of its optimizer: mean of its gradients.</summary>
    public Span<float> Mean => _mean;

    /// <summary>[M · F] moments of its optimizer: mean of their squares.</summary>
    public Span<float> MeanSquare => _meanSquare;

    /// <returns>[R, F] of float64: x.</returns>
    /// <param name="hidden">[R, D].</param>
    /// <param name="confidence">[R, M].</param>
    /// <param name="entropy">[R, M].</param>
    public static Tensor Inputs(Tensor hidden, Tensor confidence, Tensor entropy)
    {
        var wide = hidden.to(ScalarType.Float64);
        var length = (wide * wide).sum(1, keepdim: true).AtLeast(double.Epsilon).sqrt();
        return cat([wide / length, confidence, entropy, ones_like(length)], 1);
    }

    /// <returns>[R, M] of float64: a.</returns>
    /// <param name="inputs">[R, F] of <see cref="Inputs"/>.</param>
    public Tensor Scores(Tensor inputs) =>
        inputs.matmul(tensor(_weights).to(ScalarType.Float64).reshape(_teachers, _inputs).to(inputs.device).t());

    /// <summary>Shows the memory of weights and moments: to be written to a checkpoint, or filled from one.</summary>
    public void Visit(BytesVisitor visit)
    {
        foreach (var values in new[] { _weights, _mean, _meanSquare })
        {
            visit(MemoryMarshal.AsBytes(values.AsSpan()));
        }
    }
}
