using TraceDistill.Data.Traces;

namespace TraceDistill.Data.Contracts;

/// <summary>Compares a model's next-token distributions with the soft targets of traces, token by token.</summary>
public interface ITraceScorer
{
    /// <summary>
    /// One array for each trace, in order; in it one score for each generated token, end-of-sequence included. Empty for a trace that
    /// cannot be scored: without soft targets or prompt ids, in other token ids than the model's, or longer than its positions. Lazy.
    /// </summary>
    IEnumerable<TokenScore[]> Score(IEnumerable<Trace> traces, CancellationToken cancellationToken = default);
}

/// <summary>A model's distribution at one position against the teacher's.</summary>
/// <param name="Kl">
/// KL(teacher ‖ model) in nats over the teacher's top-k and the tail as one bucket: a lower bound of the full divergence.
/// </param>
/// <param name="SampledLogprob">
/// The model's natural-log probability of the token the teacher drew; a logarithm, because a probability may round to zero.
/// </param>
/// <param name="TopProbability">The model's largest probability: its confidence.</param>
/// <param name="TopIsSampled">True where that most probable token is the one the teacher drew.</param>
public readonly record struct TokenScore(double Kl, double SampledLogprob, double TopProbability, bool TopIsSampled);
