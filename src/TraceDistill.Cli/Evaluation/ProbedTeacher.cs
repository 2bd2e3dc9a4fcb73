using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Pool;

namespace TraceDistill.Cli.Evaluation;

/// <summary>
/// Looks at an endpoint before the first question: where its prompts open the reasoning, an answer
/// that is cut off within it has no mark of that, and would be judged by the numbers in it.
/// </summary>
/// <param name="teacher">Owned by the caller.</param>
/// <param name="maxTokens">Longest answer in tokens.</param>
sealed class ProbedTeacher(TeacherPool teacher, int maxTokens) : ITextGenerator
{
    readonly Lock _lock = new();
    Task? _probe;

    /// <inheritdoc/>
    public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
    {
        Task probe;
        lock (_lock)
        {
            probe = _probe ??= teacher.ProbeAsync(
                new SamplingSettings { MaxTokens = maxTokens, ExtraBody = request.Sampling.ExtraBody },
                cancellationToken
            );
        }

        await probe;
        return await teacher.GenerateAsync(request, cancellationToken);
    }
}
