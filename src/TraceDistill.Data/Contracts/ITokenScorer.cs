using TraceDistill.Data.Generation;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Contracts;

/// <summary>
/// Tells the distributions of a model along a text that exists: soft targets for text that somebody else wrote. Implementations are
/// thread-safe; many requests at a time are the rule.
/// </summary>
public interface ITokenScorer
{
    /// <returns>
    /// A row for each token from <see cref="ScoringRequest.First"/> on, in order: row t is the distribution, given all tokens before it,
    /// that the model would have drawn token t from, at temperature 1 and before any filter. The tokens are those of the request.
    /// </returns>
    /// <exception cref="UnscorableTextException">This text cannot be scored by this model; others may.</exception>
    /// <exception cref="InvalidInputException">The teacher refused this text, or scored another one in its place.</exception>
    /// <exception cref="ExternalFailureException">The request failed for a passing reason.</exception>
    /// <exception cref="TeacherUnavailableException">No request can succeed at present.</exception>
    Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default);
}
