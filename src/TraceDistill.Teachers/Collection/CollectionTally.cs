using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Counts what came of the samples of a run, tells the observer, and calls an end to a run in which nothing succeeds.</summary>
/// <param name="observer">Notified of progress and of the first few failures.</param>
/// <param name="time">The clock of the rate.</param>
/// <param name="before">Traces there already.</param>
/// <param name="total">Traces in all.</param>
/// <param name="spending">Usage of the budget, in words; null where there is nothing to say.</param>
/// <param name="mostFailuresInARow">With so many samples failed and none succeeded in between, the rest is not tried.</param>
/// <param name="retryFor">How long failures that may pass are put up with while no trace arrives.</param>
/// <param name="activity">What is done, for the progress.</param>
/// <param name="isGraded">True where the share of right answers is part of the progress.</param>
sealed class CollectionTally(
    IRunObserver observer,
    TimeProvider time,
    long before,
    long total,
    Func<string?> spending,
    int mostFailuresInARow,
    TimeSpan retryFor,
    string activity = "collect",
    bool isGraded = true
)
{
    const int FailuresTold = 5;
    const int ReasonsTold = 3;

    /// <summary>Prompts that are too long may well stand together, in a file that is sorted by length.</summary>
    const int TooLongForOneFailure = 10;

    readonly Lock _lock = new();
    readonly long _start = time.GetTimestamp();
    readonly SortedDictionary<int, FailedSample> _failures = [];
    readonly SortedDictionary<int, PlannedTrace> _tooLong = [];
    long _lastArrival = time.GetTimestamp();
    readonly SortedDictionary<string, long> _unfinished = new(StringComparer.Ordinal);
    readonly Dictionary<string, (string First, long Count)> _lacks = new(StringComparer.Ordinal);
    long _collected;
    long _correct;
    long _tokens;
    int _failuresInARow;
    string? _end;
    int _told;

    /// <summary>Traces that this run added.</summary>
    public long Collected => _collected;

    /// <summary>Samples that failed, as far as they were not collected later.</summary>
    public long Failed
    {
        get
        {
            lock (_lock)
            {
                return _failures.Count;
            }
        }
    }

    public Exception? LastFailure { get; private set; }

    /// <summary>Answers among those added whose tokens are not all known with their logprobs.</summary>
    public long WithoutLogprobs { get; private set; }

    /// <summary>Why they are not: the most frequent kinds of reason, each with how often it was and in its first wording.</summary>
    public string DescribeLacks()
    {
        lock (_lock)
        {
            var kinds = _lacks.Values.OrderByDescending(kind => kind.Count).ToList();
            var rest = kinds.Skip(ReasonsTold).Sum(kind => kind.Count);
            return string.Join("; ", kinds.Take(ReasonsTold).Select(kind => $"{kind.Count:N0} × {kind.First}"))
                + (rest > 0 ? $"; {rest:N0} for other reasons" : "");
        }
    }

    /// <summary>Time since the last trace arrived.</summary>
    public TimeSpan Quiet => time.GetElapsedTime(Volatile.Read(ref _lastArrival));

    /// <summary>Samples that failed for a reason that may pass.</summary>
    public IReadOnlyList<FailedSample> Passing()
    {
        lock (_lock)
        {
            return [.. _failures.Values.Where(failure => failure.MayPass)];
        }
    }

    /// <summary>All samples that failed, as far as they were not collected later.</summary>
    public IReadOnlyList<FailedSample> Failures()
    {
        lock (_lock)
        {
            return [.. _failures.Values];
        }
    }

    /// <summary>Samples whose prompts the teacher's context cannot hold.</summary>
    public IReadOnlyList<PlannedTrace> TooLong()
    {
        lock (_lock)
        {
            return [.. _tooLong.Values];
        }
    }

    /// <summary>Describes what failed and why, a reason at a time with the problems it is the reason for.</summary>
    public string DescribeFailures()
    {
        lock (_lock)
        {
            return FailedSample.Describe(_failures.Values);
        }
    }

    /// <summary>Number of those added that came to no end of the model's own, by the server's word for it; null for none.</summary>
    public string? Unfinished
    {
        get
        {
            lock (_lock)
            {
                const int Most = 8;
                var told = _unfinished
                    .OrderByDescending(reason => reason.Value)
                    .ThenBy(reason => reason.Key, StringComparer.Ordinal)
                    .Take(Most)
                    .Select(reason => $"{reason.Value:N0} {reason.Key}")
                    .ToList();
                return told.Count == 0
                    ? null
                    : string.Join(", ", told) + (_unfinished.Count > Most ? $", and {_unfinished.Count - Most:N0} other words" : "");
            }
        }
    }

    /// <param name="position">Its place in the plan.</param>
    /// <param name="trace">What of it is counted.</param>
    public void Add(int position, CountedTrace trace)
    {
        lock (_lock)
        {
            _tooLong.Remove(position);
            if (!FinishReasons.IsNatural(trace.FinishReason) && trace.FinishReason != FinishReasons.ContextLength)
            {
                _unfinished[trace.FinishReason] = _unfinished.GetValueOrDefault(trace.FinishReason) + 1;
            }

            _failuresInARow = 0;
            _failures.Remove(position);
            Volatile.Write(ref _lastArrival, time.GetTimestamp());
            _collected++;
            _tokens += trace.Tokens;
            if (trace.Lack is { } lack)
            {
                WithoutLogprobs++;
                var kind = string.Concat(lack.Where(c => !char.IsDigit(c) && c is not ('.' or ',')));
                _lacks[kind] = _lacks.TryGetValue(kind, out var known) ? (known.First, known.Count + 1) : (lack, 1);
            }

            _correct += trace.IsCorrect ? 1 : 0;
            var spent = spending() is { } told ? $", {told}" : "";
            var correct = isGraded ? $", {(double)_correct / _collected:P0} correct" : "";
            observer.Progress(activity, before + _collected, total, "traces", $"{TokensPerSecond():#,0} tokens/s{correct}{spent}");
        }
    }

    /// <summary>One sample failed; its siblings go on.</summary>
    /// <param name="sample">The sample.</param>
    /// <param name="failure">Why.</param>
    /// <exception cref="TeacherUnavailableException">So many failed in a row, for so long, that the fault is not the samples'.</exception>
    public void AddFailure(FailedSample sample, Exception failure)
    {
        lock (_lock)
        {
            LastFailure = failure;
            if (!_failures.ContainsKey(sample.Position) && _told++ < FailuresTold)
            {
                observer.Message(failure.Message);
            }

            _failures[sample.Position] = sample;
            if (++_failuresInARow >= mostFailuresInARow && (!sample.MayPass || Quiet >= retryFor))
            {
                // Requests in flight fail after the one that ends the collection, and whichever is waited for first is told.
                _end ??= $"{_failuresInARow} samples in a row failed, the last for this reason: {failure.Message}";
                throw new TeacherUnavailableException(_end, failure);
            }
        }
    }

    /// <summary>A prompt is too long for the teacher's context. That is told at the end, when it is known whether any is not.</summary>
    /// <exception cref="InvalidInputException">All are, as far as can be seen.</exception>
    public void AddTooLong(PlannedTrace planned, Exception refusal)
    {
        lock (_lock)
        {
            _failures.Remove(planned.Position);
            _tooLong[planned.Position] = planned;
            LastFailure = refusal;
            if (_told++ < FailuresTold)
            {
                observer.Message(refusal.Message);
            }

            if (before + _collected == 0 && _tooLong.Count >= TooLongForOneFailure * mostFailuresInARow)
            {
                throw NothingFits(refusal);
            }
        }
    }

    /// <summary>Not one prompt fits: the fault is a setting's.</summary>
    public static InvalidInputException NothingFits(Exception refusal) =>
        new(
            $"not one prompt fits into the teacher's context: {refusal.Message}; lower max_tokens, or have the server use a longer context",
            refusal
        );

    double TokensPerSecond() => _tokens / Math.Max(time.GetElapsedTime(_start).TotalSeconds, 1e-3);
}

/// <summary>Facts of a trace that a run counts.</summary>
/// <param name="Tokens">Tokens generated.</param>
/// <param name="Lack">Why it is an answer whose tokens are not all known with their logprobs; null where they are, or it is none.</param>
/// <param name="IsCorrect">True where its answer is right.</param>
/// <param name="FinishReason">Why it ended.</param>
readonly record struct CountedTrace(int Tokens, string? Lack, bool IsCorrect, string FinishReason)
{
    /// <param name="trace">The trace.</param>
    /// <param name="lack">Why the teacher gave no logprobs; null where it gave some.</param>
    public static CountedTrace Of(Trace trace, LogprobLack? lack)
    {
        var hasTargets = trace.Logprobs is not null || trace.ToolCalls is not null || FinishReasons.IsRefusal(trace.FinishReason);
        return new(
            trace.CompletionTokens,
            hasTargets ? null
                : lack is null ? "named tokens that the tokenizer does not know"
                : $"the teacher {lack.Reason}",
            trace.Verdict == Verdict.Correct.ToName(),
            trace.FinishReason
        );
    }
}
