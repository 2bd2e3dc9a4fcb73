using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Probe;

namespace TraceDistill.Teachers.Texts;

/// <summary>
/// Lets no logprobs through that a server made up, and gives it up where most texts come back so, or as other texts: it is no longer what
/// the probe saw.
/// </summary>
sealed class ScoreGuard(ITokenScorer inner) : ITokenScorer
{
    const int Recent = 40;

    readonly Lock _lock = new();
    readonly Queue<bool> _answers = new();

    public async Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default)
    {
        try
        {
            var logprobs = await inner.ScoreAsync(request, cancellationToken);
            if (LogprobCheck.Problem(logprobs, request) is { } problem)
            {
                throw new UnscorableTextException("with logprobs that are none", $"text {request.Id}: the teacher {problem}");
            }

            Count(failure: null);
            return logprobs;
        }
        catch (UnscorableTextException e) when (e.Reason != UnscorableTextException.TooLong)
        {
            Count(e);
            throw;
        }
    }

    void Count(UnscorableTextException? failure)
    {
        lock (_lock)
        {
            _answers.Enqueue(failure is not null);
            if (_answers.Count > Recent)
            {
                _answers.Dequeue();
            }

            var failed = _answers.Count(isFailed => isFailed);
            if (failure is not null && 2 * failed > Recent)
            {
                throw new TeacherUnavailableException(
                    $"{failed} of the last {_answers.Count} texts could not be scored, though the first one was; the last failure: "
                        + $"{failure.Message}; check what the server is doing",
                    failure
                );
            }
        }
    }
}
