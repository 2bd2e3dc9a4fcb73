using TraceDistill.Data.Generation;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Contracts;

/// <summary>
/// Anything that continues a conversation: a teacher behind HTTP, or a model in this process. Retry, limits and caches are decorators.
/// </summary>
public interface ITextGenerator
{
    /// <summary>Generates one assistant turn. Safe to call concurrently.</summary>
    /// <exception cref="ExternalFailureException">This request failed for a passing reason.</exception>
    /// <exception cref="TeacherUnavailableException">
    /// None can succeed at present: gone, key refused, model not offered, no logprobs.
    /// </exception>
    /// <exception cref="InvalidInputException">
    /// This request can never succeed as it is, such as a prompt longer than the model's context.
    /// </exception>
    Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default);
}
