using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Storage;

namespace TraceDistill.Teachers.Probe;

/// <summary>What is done where a run asks for soft targets and the teacher has none to give.</summary>
static class SoftTargetPolicy
{
    /// <param name="teacher">What generates.</param>
    /// <param name="capabilities">What was found out about it.</param>
    /// <param name="isRequired">Whether a run without soft targets is none.</param>
    /// <param name="observer">Told that text alone is collected.</param>
    /// <returns>The teacher, which is asked for text alone where it has no more.</returns>
    /// <exception cref="TeacherUnavailableException">They are required and not to be had.</exception>
    public static ITextGenerator Apply(ITextGenerator teacher, TeacherCapabilities capabilities, bool isRequired, IRunObserver observer)
    {
        if (capabilities.SoftTargetProblem is not { } problem)
        {
            return teacher;
        }

        if (isRequired)
        {
            throw new TeacherUnavailableException(problem);
        }

        observer.Message($"{problem}; text alone is collected, for require_soft_targets is false");
        return new TextAlone(teacher);
    }

    /// <summary>Asks for no logprobs, whatever a request says: its id is still that of the settings.</summary>
    sealed class TextAlone(ITextGenerator inner) : ITextGenerator
    {
        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
            inner.GenerateAsync(request with { Sampling = request.Sampling with { TopLogprobs = 0 } }, cancellationToken);
    }
}
