using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Texts;

/// <summary>
/// Has a teacher score the rows of a plan that are not there yet, a bounded number at a time, and puts each into the journal before it
/// counts. Rows whose text cannot be scored are kept without soft targets, once all others are there. What the teacher did wrong is no
/// fault of a text's: such rows are missing, as of a teacher that fails.
/// </summary>
/// <param name="seed">Base seed of alternatives that are drawn.</param>
/// <param name="allowedMissing">Rows that may be kept without soft targets because the teacher kept failing.</param>
/// <param name="scoredBefore">Rows that earlier runs scored.</param>
/// <param name="retryFor">How long texts that failed are asked for again while none of them succeeds.</param>
/// <param name="asking">As for <see cref="CollectionLoop{T}"/>.</param>
sealed class TextScorer(
    ITokenScorer teacher,
    TextEncoder encoder,
    DatasetDescription dataset,
    long seed,
    IRunObserver observer,
    TimeProvider time,
    int concurrency,
    CollectionBudget budget,
    int allowedMissing,
    long scoredBefore,
    TimeSpan retryFor,
    CancellationTokenSource? asking = null
)
{
    /// <summary>Reason of a row that the teacher failed at in every round.</summary>
    public const string Failed = "not scored because the teacher failed, as allow_missing permits";

    /// <summary>Reason of a row that was scored with another text than it has now.</summary>
    public const string Changed = "of another text than the source has by now";

    /// <summary>Messages about single rows that cannot be scored; the others are counted.</summary>
    const int MostTold = 5;

    readonly Lock _lock = new();
    readonly SortedDictionary<int, string> _unscorable = [];
    UnscorableTextException? _lastUnscorable;

    /// <exception cref="TeacherUnavailableException">The teacher is gone or refuses all; what was finished is in the journal.</exception>
    /// <exception cref="InvalidInputException">Not one text can be scored.</exception>
    public async Task<CollectionTally> ScoreAsync(
        TextPlan plan,
        TraceInventory inventory,
        TraceJournal journal,
        ShardCompactor compactor,
        CancellationToken stop
    )
    {
        var tally = new CollectionTally(
            observer,
            time,
            inventory.PlanCount - inventory.Wanted,
            inventory.PlanCount,
            budget.Describe,
            Math.Max(20, 2 * concurrency),
            retryFor,
            activity: "score",
            isGraded: false
        );
        await new CollectionLoop<PlannedText>(observer, time, concurrency, budget, retryFor, asking, "text").RunAsync(
            wanted => plan.ReadAsync(wanted, CancellationToken.None),
            position => inventory.IsWanted(position) && !IsUnscorable(position),
            ScoreOneAsync,
            tally,
            journal,
            compactor,
            stop
        );
        if (!budget.IsSpent)
        {
            await KeepUnscoredAsync();
        }

        await compactor.CompleteAsync();
        return tally;

        async Task ScoreOneAsync(PlannedText text, CancellationToken token)
        {
            if (await ScoreAsync(text, tally, token) is { } scored)
            {
                await KeepAsync(text.Position, scored, note: null);
                tally.Add(text.Position, new CountedTrace(scored.Logprobs!.Count, Lack: null, IsCorrect: false, FinishReasons.Stop));
            }
        }

        // Last, when it is known that others can be scored: else a setting is wrong, and nothing is written down as if it were the rows'.
        async Task KeepUnscoredAsync()
        {
            var failed = tally.Failures();
            if (scoredBefore + tally.Collected == 0)
            {
                if (_unscorable.Count > 0 && failed.Count == 0)
                {
                    throw new InvalidInputException(
                        $"not one text can be scored ({UnscoredTraces.Of(_unscorable.Values)}): {_lastUnscorable?.Message}",
                        _lastUnscorable
                    );
                }

                return;
            }

            if (failed.Count > 0 && failed.Count <= allowedMissing)
            {
                failed.ToList().ForEach(sample => _unscorable.TryAdd(sample.Position, Failed));
            }

            await foreach (var text in plan.ReadAsync(_unscorable.ContainsKey, CancellationToken.None))
            {
                var reason = _unscorable[text.Position];
                await KeepAsync(text.Position, text.Trace with { Logprobs = null, PromptTokenIds = [] }, reason);
                tally.Add(text.Position, new CountedTrace(0, reason, IsCorrect: false, FinishReasons.Stop));
            }
        }

        async Task KeepAsync(int position, Trace row, string? note)
        {
            // Not to be cancelled: what was scored is kept.
            await journal.AddAsync(row, replace: true, note);
            if (inventory.Arrived(position) is { } block)
            {
                compactor.Add(block);
            }
        }
    }

    bool IsUnscorable(int position)
    {
        lock (_lock)
        {
            return _unscorable.ContainsKey(position);
        }
    }

    /// <returns>The row with its scores; null where it has none.</returns>
    async Task<Trace?> ScoreAsync(PlannedText text, CollectionTally tally, CancellationToken cancellationToken)
    {
        var trace = text.Trace;
        try
        {
            var request = encoder.Encode(trace, dataset.TopK) with
            {
                // As the trace itself was drawn with: then the draws are those of its generation.
                DrawSeed = dataset.SampledLogprobs is null ? null : SampleSeed.Of(seed, trace.ProblemId, trace.SampleIndex),
            };
            var logprobs = await teacher.ScoreAsync(request, cancellationToken);
            if (!request.Scored.SequenceEqual(logprobs.TokenIds))
            {
                throw new InvalidInputException($"text {trace.Id}: other tokens were scored than were sent");
            }

            var prompt = encoder.PromptOf(trace, request);
            var scored = trace with
            {
                PromptTokenIds = prompt,
                PromptTokens = prompt.Length,
                CompletionTokens = logprobs.Count,
                Logprobs = logprobs,
            };

            // Here it costs one row; found out on publishing, it would cost the run.
            TraceValidation.Check(scored, dataset);
            return scored;
        }
        catch (UnscorableTextException e)
        {
            AddUnscorable(text.Position, e);
        }
        catch (Exception e)
            when (e is InvalidInputException or ExternalFailureException
                && !(e is TeacherUnavailableException gone && !RetryStrategies.IsPassing(gone))
            )
        {
            tally.AddFailure(FailedSample.Of(text.Position, trace.ProblemId, $"text {trace.Id}", e), e);
        }
        catch (NotSentException)
        {
            // The run is stopping, or the budget is spent.
        }

        return null;
    }

    void AddUnscorable(int position, UnscorableTextException reason)
    {
        lock (_lock)
        {
            _unscorable[position] = reason.Reason;
            _lastUnscorable = reason;
            if (_unscorable.Count <= MostTold)
            {
                observer.Message($"{reason.Message}; it stays without soft targets");
            }
        }
    }
}
