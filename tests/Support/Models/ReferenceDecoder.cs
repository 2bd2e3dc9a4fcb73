using TorchSharp;
using TraceDistill.Models.Weights;

namespace TraceDistill.Tests.Support;

/// <summary>Logits of an uncached float64 forward pass over the whole sequence, for each position.</summary>
sealed class ReferenceDecoder(ModelParameters parameters)
{
    /// <summary>[T][V] logits of every position.</summary>
    public double[][] Logits(int[] tokens)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        return [.. new ReferenceLlama(parameters).Logits(tokens).data<double>().ToArray().Chunk(parameters.Configuration.VocabSize)];
    }

    public static double[] LogSoftmax(double[] logits)
    {
        var max = logits.Max();
        var normalizer = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        return [.. logits.Select(logit => logit - normalizer)];
    }
}
