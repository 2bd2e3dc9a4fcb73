using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Telemetry;

/// <summary>A teacher in this process with the spans and metrics that one at an endpoint has.</summary>
sealed class MeasuredScorer : ITokenScorer, IDisposable
{
    readonly ITokenScorer _inner;
    readonly TimeProvider _time;
    readonly MeasuredTeacher _teacher;
    readonly TeacherInstruments _instruments = new();
    int _inFlight;

    /// <param name="inner">Scores; disposed of by the caller.</param>
    /// <param name="model">Its name.</param>
    /// <param name="limit">Texts that it takes in at a time.</param>
    /// <param name="time">Clock of durations.</param>
    public MeasuredScorer(ITokenScorer inner, string model, int limit, TimeProvider time)
    {
        (_inner, _time, _teacher) = (inner, time, MeasuredTeacher.InProcess(model));
        _instruments.Observe(() => [(_teacher, Volatile.Read(ref _inFlight), limit)]);
    }

    public async Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default)
    {
        using var activity = TeacherInstruments.Start(_teacher, sampling: null, isScoring: true);
        var start = _time.GetTimestamp();
        Interlocked.Increment(ref _inFlight);
        try
        {
            var scores = await _inner.ScoreAsync(request, cancellationToken);
            _instruments.Answered(
                activity,
                _teacher,
                isScoring: true,
                FinishReasons.Stop,
                request.Tokens.Length,
                completionTokens: 0,
                _time.GetElapsedTime(start)
            );
            return scores;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            _instruments.Failed(activity, _teacher, isScoring: true, e, _time.GetElapsedTime(start));
            throw;
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }

    public void Dispose() => _instruments.Dispose();
}
