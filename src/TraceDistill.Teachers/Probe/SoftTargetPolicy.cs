using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;

namespace TraceDistill.Teachers.Probe;

/// <summary>Policy where a run asks for soft targets and the teacher has none to give.</summary>
static class SoftTargetPolicy
{
    /// <param name="teacher">Generator of the traces.</param>
    /// <param name="capabilities">Its capabilities as found out.</param>
    /// <param name="isRequired">True where a run without soft targets is refused.</param>
    /// <param name="observer">Takes the message that text alone is collected.</param>
    /// <returns>
    /// The teacher; asked for text alone where it has no more, and given up where most answers come without soft targets that are required.
    /// </returns>
    /// <exception cref="TeacherUnavailableException">They are required and not to be had.</exception>
    public static ITextGenerator Apply(ITextGenerator teacher, TeacherCapabilities capabilities, bool isRequired, IRunObserver observer)
    {
        if (capabilities.SoftTargetProblem is not { } problem)
        {
            return new SoftTargetGuard(teacher, isRequired, observer);
        }

        if (isRequired)
        {
            throw new TeacherUnavailableException(problem);
        }

        observer.Message($"{problem}; collecting text alone, because require_soft_targets is false");
        return new TextAlone(teacher);
    }

    /// <summary>
    /// Keeps answers whose logprobs are no good as text. A few of them serve the hard loss; where they
    /// are most, it is not what was asked for. That is decided by shares: a teacher whose answers often
    /// have characters of several tokens gives many in a row without logprobs, and is no other for it.
    /// </summary>
    sealed class SoftTargetGuard(ITextGenerator inner, bool isRequired, IRunObserver observer) : ITextGenerator
    {
        /// <summary>Answers by which a server is seen to have changed: more than half of them with none, or with wrong ones.</summary>
        const int Recent = 40;

        /// <summary>Answers by which a teacher is seen to give next to none, whatever the reason.</summary>
        const int Most = 200;

        const double LeastShare = 0.025;

        readonly Lock _lock = new();
        readonly Queue<LogprobLack?> _answers = new();
        bool _isTold;

        public async Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
        {
            var result = await inner.GenerateAsync(request, cancellationToken);
            if (request.Sampling.TopLogprobs == 0 || result.ToolCalls is not null || FinishReasons.IsRefusal(result.FinishReason))
            {
                return result;
            }

            if (result.Logprobs is { } logprobs && LogprobCheck.Problem(logprobs, request.Sampling) is { } problem)
            {
                result = result with { Logprobs = null, LogprobLack = new LogprobLack(problem, IsPartial: false) };
            }

            Count(result.Logprobs is null ? result.LogprobLack ?? new LogprobLack("returned no logprobs", IsPartial: false) : null);
            return result;
        }

        void Count(LogprobLack? lack)
        {
            lock (_lock)
            {
                _answers.Enqueue(lack);
                if (_answers.Count > Most)
                {
                    _answers.Dequeue();
                }

                if (lack is null)
                {
                    return;
                }

                if (!lack.IsPartial && !_isTold)
                {
                    _isTold = true;
                    observer.Message(
                        $"the teacher {lack.Reason} with an answer, which is kept as text alone; further ones are counted at the end"
                    );
                }

                var recent = _answers.TakeLast(Recent).Count(answer => answer is { IsPartial: false });
                if (isRequired && 2 * recent > Recent)
                {
                    throw Stop($"{recent} of the last {Math.Min(Recent, _answers.Count)} answers", lack);
                }

                var with = _answers.Count(answer => answer is null);
                if (isRequired && _answers.Count == Most && with < LeastShare * Most)
                {
                    throw Stop($"{Most - with} of the last {Most} answers", lack);
                }
            }
        }

        static TeacherUnavailableException Stop(string share, LogprobLack lack) =>
            new(
                $"{share} came without soft targets, though the teacher gave some at first (the last time it {lack.Reason}); "
                    + "check what the server is doing, or take them as text with require_soft_targets: false"
            );
    }

    /// <summary>Asks for no logprobs, whatever a request says: its id is still that of the settings.</summary>
    sealed class TextAlone(ITextGenerator inner) : ITextGenerator
    {
        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default) =>
            inner.GenerateAsync(request with { Sampling = request.Sampling with { TopLogprobs = 0 } }, cancellationToken);
    }
}
