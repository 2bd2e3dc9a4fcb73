namespace TraceDistill.Core.Generation;

/// <summary>
/// Anything that continues a conversation: a teacher behind HTTP, or a model in this process. Retry, limits and caches are decorators.
/// </summary>
public interface ITextGenerator
{
    /// <summary>Generates one assistant turn. Safe to call concurrently.</summary>
    /// <exception cref="Errors.ExternalFailureException">The teacher cannot be reached or refuses for a passing reason.</exception>
    /// <exception cref="Errors.InvalidInputException">The request can never succeed as it is (model not known, no logprobs).</exception>
    Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default);
}
