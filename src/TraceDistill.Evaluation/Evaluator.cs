using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Text.Errors;

namespace TraceDistill.Evaluation;

/// <summary>
/// Has models answer problems, judges the answers and sums up. Every answer is on disk as soon as it is known, so that an interrupted
/// evaluation asks for nothing twice; the figures do not depend on the order in which answers come back.
/// </summary>
/// <param name="options">Options of the measurement.</param>
/// <param name="verifier">Judges the answers; what it cannot verify counts as wrong, and is counted on its own.</param>
/// <param name="folder">Where <c>MODEL.jsonl</c>, <c>speed.json</c> and <c>evaluation.json</c> go; exists.</param>
public sealed class Evaluator(EvaluateOptions options, IVerifier verifier, string folder, IRunObserver observer, TimeProvider time)
{
    /// <summary>
    /// Most models that are compared pair by pair. More of them are copies over seeds, of which nobody reads tens of thousands of pairs:
    /// the report compares ways of training by their means.
    /// </summary>
    public const int MostCompared = 60;

    /// <summary>Measures all models and writes <c>evaluation.json</c> last.</summary>
    /// <param name="models">Taken one at a time, so that the caller can load a model when its turn comes and free it afterwards.</param>
    /// <param name="problems">Problems that they answer; cut to <see cref="EvaluateOptions.Limit"/>.</param>
    /// <param name="traces">Held-out traces with soft targets in the order to score them, or null; enumerated once a model.</param>
    /// <exception cref="ExternalFailureException">A model could not be reached; running again goes on from here.</exception>
    /// <exception cref="InvalidInputException">A file of answers is damaged or another evaluation's.</exception>
    public async Task<EvaluationResult> EvaluateAsync(
        IAsyncEnumerable<EvaluatedModel> models,
        IReadOnlyList<Problem> problems,
        IEnumerable<Trace>? traces = null,
        CancellationToken cancellationToken = default
    )
    {
        IReadOnlyList<Problem> asked = [.. problems.Take(options.Limit ?? int.MaxValue)];
        ArgumentOutOfRangeException.ThrowIfZero(asked.Count);
        var scores = new OrderedDictionary<string, ModelScores>();
        var greedy = new OrderedDictionary<string, IReadOnlyList<EvaluationRecord>>();
        await foreach (var model in models.WithCancellation(cancellationToken))
        {
            var records = await AnswerAsync(model, asked, cancellationToken);
            var distribution =
                model.Scorer is { } scorer && traces is not null
                    ? DistributionScores.Measure(scorer, traces.Take(options.TraceLimit ?? int.MaxValue), options.Seed, cancellationToken)
                    : null;
            if (model.Scorer is not null && traces is not null && distribution is not { Skipped: 0 })
            {
                var compared = distribution is null
                    ? "no trace was compared with the teacher's"
                    : $"{distribution.Skipped:N0} of {distribution.Skipped + distribution.Traces:N0} traces were not compared";
                observer.Message(
                    $"{model.Name}: {compared}: those without soft targets or prompt ids, those longer than the model's positions, "
                        + "and, of a model that looks at pictures, those of problems that it is not asked"
                );
            }

            greedy.Add(model.Name, [.. records.Where(record => record.SampleIndex == 0)]);
            scores.Add(model.Name, ModelScoring.Score(records, model, distribution, options));
        }

        var paired = greedy.Count <= MostCompared ? greedy.Count : 0;
        var result = new EvaluationResult
        {
            Problems = Path.GetFileName(options.Problems),
            N = asked.Count,
            Seed = options.Seed,
            Models = scores,
            Comparisons =
            [
                .. from first in ParallelEnumerable.Range(0, paired).AsOrdered()
                from second in Enumerable.Range(first + 1, paired - first - 1)
                select ModelScoring.Compare(
                    greedy.GetAt(first).Key,
                    greedy.GetAt(first).Value,
                    greedy.GetAt(second).Key,
                    greedy.GetAt(second).Value,
                    options.Seed
                ),
            ],
        };
        result.Write(Path.Combine(folder, EvaluationResult.FileName));
        return result;
    }

    async Task<IReadOnlyList<EvaluationRecord>> AnswerAsync(
        EvaluatedModel model,
        IReadOnlyList<Problem> problems,
        CancellationToken cancellationToken
    )
    {
        var plan = PlannedAnswer.For(model, problems, options);
        var path = Path.Combine(folder, $"{model.Name}.jsonl");
        using var log = new RecordLog(path);
        if (!log.IsWithin(plan.Select(answer => answer.Request.Id).ToHashSet()))
        {
            throw new InvalidInputException(
                $"{path}: holds answers of another evaluation (other weights, "
                    + "problems or settings); name another folder with --out, or delete this one"
            );
        }

        var missing = plan.Where(answer => !log.Contains(answer.Request.Id)).ToList();
        var (done, tokens, start) = (plan.Count - missing.Count, 0L, time.GetTimestamp());
        observer.Progress($"evaluate {model.Name}", done, plan.Count, "answers");

        var limits = new ParallelOptions { MaxDegreeOfParallelism = options.Concurrency, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(missing, limits, async (answer, token) =>
        {
            var record = Judge(answer, await GenerateAsync(model, answer.Request, token));
            log.Append(record);
            Interlocked.Add(ref tokens, record.Tokens);
            observer.Progress($"evaluate {model.Name}", Interlocked.Increment(ref done), plan.Count, "answers");
        });

        if (missing.Count > 0)
        {
            GenerationSpeed.Add(folder, model.Name, new GenerationSpeed(tokens, time.GetElapsedTime(start).TotalSeconds));
        }

        return log.Finish([.. plan.Select(answer => answer.Request.Id)]);
    }

    /// <exception cref="InvalidInputException">The model cannot answer; it is named.</exception>
    static async Task<GenerationResult> GenerateAsync(EvaluatedModel model, GenerationRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await model.Generator.GenerateAsync(request, cancellationToken);
        }
        catch (InvalidInputException error) when (error.GetType() == typeof(InvalidInputException))
        {
            var place = model.Source is { } source && source != model.Name ? $" ({source})" : "";
            throw new InvalidInputException($"{model.Name}{place}: {error.Message}", error);
        }
    }

    EvaluationRecord Judge(PlannedAnswer planned, GenerationResult generation)
    {
        // Truncated within the reasoning there is no answer, whatever numbers the reasoning holds.
        var answer = FinalAnswer.Find(generation.Answer);
        var verdict = verifier.Verify(generation.Answer, planned.Problem);
        return new EvaluationRecord
        {
            Id = planned.Request.Id,
            ProblemId = planned.Problem.Id,
            Family = planned.Problem.Family,
            SampleIndex = planned.SampleIndex,
            Correct = verdict == Verdict.Correct,
            Unverified = verdict == Verdict.Unverified,
            Answer = answer,
            Expected = planned.Problem.Answer,
            Tokens = generation.CompletionTokens,
            FinishReason = generation.FinishReason,
            IsUnclosed = generation is { Answer.Length: 0, Reasoning.Length: > 0 },
            Generation = generation.Text,
        };
    }
}
