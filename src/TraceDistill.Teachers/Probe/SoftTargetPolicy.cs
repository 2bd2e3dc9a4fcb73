using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Probe;

/// <summary>What is done where a run asks for soft targets and the teacher has none to give.</summary>
static class SoftTargetPolicy
{
    /// <summary>A probe that found soft targets does not err so often: the server has changed.</summary>
    const int MostWithoutInARow = 20;

    /// <param name="teacher">What generates.</param>
    /// <param name="capabilities">What was found out about it.</param>
    /// <param name="isRequired">Whether a run without soft targets is none.</param>
    /// <param name="observer">Told that text alone is collected.</param>
    /// <returns>The teacher; asked for text alone where it has no more, and given up where required soft targets stay away answer after answer.</returns>
    /// <exception cref="TeacherUnavailableException">They are required and not to be had.</exception>
    public static ITextGenerator Apply(ITextGenerator teacher, TeacherCapabilities capabilities, bool isRequired, IRunObserver observer)
    {
        if (capabilities.SoftTargetProblem is not { } problem)
        {
            return isRequired ? new SoftTargetGuard(teacher) : teacher;
        }

        if (isRequired)
        {
            throw new TeacherUnavailableException(problem);
        }

        observer.Message($"{problem}; text alone is collected, for require_soft_targets is false");
        return new TextAlone(teacher);
    }

    /// <summary>One answer without logprobs serves the hard loss; a run of them is not what was asked for.</summary>
    sealed class SoftTargetGuard(ITextGenerator inner) : ITextGenerator
    {
        int _withoutInARow;

        public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
        {
            var result = await inner.GenerateAsync(request, cancellationToken);
            if (request.Sampling.TopLogprobs == 0 || FinishReasons.IsRefusal(result.FinishReason))
            {
                return result;
            }

            if (result.Logprobs is not null)
            {
                Volatile.Write(ref _withoutInARow, 0);
            }
            else if (Interlocked.Increment(ref _withoutInARow) >= MostWithoutInARow)
            {
                throw new TeacherUnavailableException(
                    $"{MostWithoutInARow} answers in a row came without logprobs, though the teacher gave some at first; check what the server is doing, or take them as text with require_soft_targets: false");
            }

            return result;
        }
    }

    /// <summary>Asks for no logprobs, whatever a request says: its id is still that of the settings.</summary>
    sealed class TextAlone(ITextGenerator inner) : ITextGenerator
    {
        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
            inner.GenerateAsync(request with { Sampling = request.Sampling with { TopLogprobs = 0 } }, cancellationToken);
    }
}
