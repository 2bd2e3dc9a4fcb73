using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>
/// Asks a teacher for the traces of a plan that are not there yet, a bounded number at a
/// time, and puts each into the journal before it counts.
/// </summary>
/// <param name="retryFor">How long samples that failed are asked for again while none of them succeeds.</param>
/// <param name="asking">
/// Cancelled as soon as nothing more is to be asked for, for whatever reason: the teacher then sends nothing that waits its turn.
/// </param>
sealed class TraceCollector(
    ITextGenerator teacher,
    IVerifier verifier,
    TokenResolver tokens,
    DatasetDescription dataset,
    IRunObserver observer,
    TimeProvider time,
    int concurrency,
    CollectionBudget budget,
    TimeSpan retryFor = default,
    CancellationTokenSource? asking = null
)
{
    /// <param name="plan">The traces wanted.</param>
    /// <param name="inventory">Which of them are there.</param>
    /// <param name="journal">Where the others go.</param>
    /// <param name="compactor">Makes shards of them as they become complete. When it fails, nothing new is asked for.</param>
    /// <param name="stop">Ends the run: nothing new is asked, what is in flight has <see cref="CollectionLoop.Grace"/> to finish.</param>
    /// <exception cref="TeacherUnavailableException">
    /// The teacher is gone or refuses everything. What was finished is in the journal.
    /// </exception>
    /// <exception cref="InvalidInputException">
    /// The journal or a shard cannot be written any more, or not one prompt fits into the teacher's context.
    /// </exception>
    /// <exception cref="ExternalFailureException">The folder is gone, or the disk is full.</exception>
    public Task<CollectionTally> CollectAsync(
        CollectionPlan plan,
        TraceInventory inventory,
        TraceJournal journal,
        ShardCompactor compactor,
        CancellationToken stop
    ) => CollectAsync(plan, inventory.IsWanted, inventory, journal, compactor, stop);

    /// <inheritdoc cref="CollectAsync(CollectionPlan, TraceInventory, TraceJournal, ShardCompactor, CancellationToken)"/>
    /// <param name="isAsked">Positions of those wanted that are asked for.</param>
    public async Task<CollectionTally> CollectAsync(
        CollectionPlan plan,
        Predicate<int> isAsked,
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
            retryFor
        );
        var loop = new CollectionLoop<PlannedTrace>(observer, time, concurrency, budget, retryFor, asking, "sample");
        await loop.RunAsync(
            wanted => plan.ReadAsync(wanted, CancellationToken.None),
            isAsked,
            CollectOneAsync,
            tally,
            journal,
            compactor,
            stop
        );
        await KeepTooLongAsync();
        await compactor.CompleteAsync();
        return tally;

        async Task CollectOneAsync(PlannedTrace wanted, CancellationToken token)
        {
            var planned = inventory.AsAskedFor(wanted);
            if (await GenerateAsync(plan.Teacher, planned, tally, token) is var (trace, lack))
            {
                // Not to be cancelled: what was generated is kept. Its columns are not, while the
                // disk is waited for: what is counted is taken before.
                var counted = CountedTrace.Of(trace, lack);
                await KeepAsync(planned, trace, replace: planned != wanted);
                tally.Add(planned.Position, counted);
            }
        }

        // As rows without a trace, lest they be asked for on each run; what they are is seen once it is known that others fit.
        async Task KeepTooLongAsync()
        {
            var tooLong = tally.TooLong();
            if (tooLong.Count > 0 && inventory.Present == 0)
            {
                // Where others failed for other reasons, it is not known that nothing fits, nor that anything does.
                if (tally.Failed > 0)
                {
                    return;
                }

                throw CollectionTally.NothingFits(tally.LastFailure!);
            }

            foreach (var planned in tooLong)
            {
                var nothing = new GenerationResult
                {
                    Reasoning = "",
                    Answer = "",
                    Text = "",
                    FinishReason = FinishReasons.ContextLength,
                };
                var row = Describe(plan.Teacher, planned, nothing, TimeSpan.Zero);
                await KeepAsync(planned, row, replace: true);
                tally.Add(planned.Position, CountedTrace.Of(row, lack: null));
            }

            if (tooLong.Count > 0)
            {
                observer.Message(
                    $"too long for the teacher's context: {Count(tooLong.Count, "prompt")}, kept as rows without "
                        + $"a trace (finish_reason {FinishReasons.ContextLength}); reask: refusal asks for them again"
                );
            }
        }

        async Task KeepAsync(PlannedTrace planned, Trace trace, bool replace)
        {
            await journal.AddAsync(trace, replace);
            if (inventory.Arrived(planned.Position) is { } block)
            {
                compactor.Add(block);
            }
        }
    }

    static string Count(int count, string noun) => $"{count:N0} {noun}{(count == 1 ? "" : "s")}";

    /// <returns>
    /// The trace, with why it has no logprobs where the teacher is why; null where this sample failed and is counted as such.
    /// </returns>
    async Task<(Trace Trace, LogprobLack? Lack)?> GenerateAsync(
        string teacherName,
        PlannedTrace planned,
        CollectionTally tally,
        CancellationToken cancellationToken
    )
    {
        try
        {
            var start = time.GetTimestamp();
            var result = await teacher.GenerateAsync(planned.Request, cancellationToken);
            var trace = Describe(teacherName, planned, result, time.GetElapsedTime(start));

            // Here it costs one sample; found out on publishing, it would cost the run.
            TraceValidation.Check(trace, dataset);
            return (
                trace,
                result.Logprobs is null ? result.LogprobLack ?? new LogprobLack("returned no logprobs", IsPartial: false) : null
            );
        }
        catch (PromptTooLongException e)
        {
            tally.AddTooLong(planned, e);
            return null;
        }
        catch (Exception e)
            when (e is InvalidInputException or ExternalFailureException
                && !(e is TeacherUnavailableException gone && !RetryStrategies.IsPassing(gone))
            )
        {
            tally.AddFailure(FailedSample.Of(planned, e), e);
            return null;
        }
        catch (NotSentException)
        {
            return null;
        }
    }

    Trace Describe(string teacherName, PlannedTrace planned, GenerationResult result, TimeSpan latency) =>
        new()
        {
            Id = planned.Request.Id,
            ProblemId = planned.Problem.Id,
            Source = planned.Problem.Family,
            Messages = planned.Request.Messages,
            Reasoning = result.Reasoning,
            Answer = result.Answer,
            Generation = result.Text,
            ExpectedAnswer = planned.Problem.Answer,
            FinishReason = result.FinishReason,
            Verdict = Regrading.Grade(verifier, planned.Problem, result.Answer, result.FinishReason, result.ToolCalls is not null).ToName(),
            SampleIndex = planned.SampleIndex,
            Seed = planned.Request.Sampling.Seed ?? 0,
            Temperature = planned.Request.Sampling.Temperature,
            TopP = planned.Request.Sampling.TopP,
            Teacher = teacherName,
            PromptTokens = result.PromptTokens,
            CompletionTokens = result.CompletionTokens,
            LatencyMs = (int)Math.Min(latency.TotalMilliseconds, int.MaxValue),
            CreatedAt = time.GetUtcNow(),
            PromptTokenIds = result.PromptTokenIds ?? [],
            Logprobs = tokens.Resolve(result.Logprobs?.Best(dataset.TopK)),
            ToolCalls = result.ToolCalls,
        };
}
