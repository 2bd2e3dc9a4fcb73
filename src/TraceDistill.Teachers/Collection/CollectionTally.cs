using TraceDistill.Core.Errors;
using TraceDistill.Core.Observation;
using TraceDistill.Core.Traces;
using TraceDistill.Core.Verification;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Collection;

/// <summary>Counts what came of the samples of a run, tells the observer, and calls an end to a run in which nothing succeeds.</summary>
/// <param name="observer">Told of progress and of the first few failures.</param>
/// <param name="time">The clock of the rate.</param>
/// <param name="before">Traces there already.</param>
/// <param name="total">Traces in all.</param>
/// <param name="spending">What was spent of the budget, in words; null where there is nothing to say.</param>
/// <param name="mostFailuresInARow">With so many samples failed and none succeeded in between, the rest is not tried.</param>
sealed class CollectionTally(IRunObserver observer, TimeProvider time, long before, long total, Func<string?> spending, int mostFailuresInARow)
{
    const int FailuresTold = 5;

    readonly Lock _lock = new();
    readonly long _start = time.GetTimestamp();
    long _collected;
    long _correct;
    long _tokens;
    int _failuresInARow;

    /// <summary>Traces that this run added.</summary>
    public long Collected => _collected;

    /// <summary>Samples that failed for good.</summary>
    public long Failed { get; private set; }

    public Exception? LastFailure { get; private set; }

    /// <summary>Answers among those added whose tokens are not all known with their logprobs.</summary>
    public long WithoutLogprobs { get; private set; }

    public void Add(CountedTrace trace)
    {
        lock (_lock)
        {
            _failuresInARow = 0;
            _collected++;
            _tokens += trace.Tokens;
            WithoutLogprobs += trace.LacksLogprobs ? 1 : 0;
            _correct += trace.IsCorrect ? 1 : 0;
            var spent = spending() is { } told ? $", {told}" : "";
            observer.Progress("collect", before + _collected, total, "traces", $"{TokensPerSecond():#,0} tokens/s, {(double)_correct / _collected:P0} correct{spent}");
        }
    }

    /// <summary>One sample failed; its siblings go on.</summary>
    /// <exception cref="TeacherUnavailableException">So many failed in a row that the fault is not the samples'.</exception>
    public void AddFailure(Exception failure)
    {
        lock (_lock)
        {
            Failed++;
            LastFailure = failure;
            if (Failed <= FailuresTold)
            {
                observer.Message(failure.Message);
            }

            if (++_failuresInARow >= mostFailuresInARow)
            {
                throw new TeacherUnavailableException($"{mostFailuresInARow} samples in a row failed, the last for this reason: {failure.Message}", failure);
            }
        }
    }

    double TokensPerSecond() => _tokens / Math.Max(time.GetElapsedTime(_start).TotalSeconds, 1e-3);
}

/// <summary>What a run counts of a trace.</summary>
/// <param name="Tokens">Tokens generated.</param>
/// <param name="LacksLogprobs">Whether it is an answer whose tokens are not all known with their logprobs.</param>
/// <param name="IsCorrect">Whether its answer is right.</param>
readonly record struct CountedTrace(int Tokens, bool LacksLogprobs, bool IsCorrect)
{
    public static CountedTrace Of(Trace trace) =>
        new(trace.CompletionTokens, trace.Logprobs is null && !FinishReasons.IsRefusal(trace.FinishReason), trace.Verdict == Verdict.Correct.ToName());
}
