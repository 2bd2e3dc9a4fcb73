using TraceDistill.Data.Generation;
using TraceDistill.Data.Statistics;
using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Evaluation;

/// <summary>
/// From one model's answers to its scores, and from two models' answers to their comparison. Pure functions of the records.
/// </summary>
static class ModelScoring
{
    /// <param name="records">All answers, by problem and then by sample index.</param>
    public static ModelScores Score(
        IReadOnlyList<EvaluationRecord> records,
        EvaluatedModel model,
        DistributionScores? distribution,
        EvaluateOptions options
    )
    {
        var greedy = records.Where(record => record.SampleIndex == 0).ToList();
        var votes = records
            .Where(record => record.SampleIndex > 0)
            .GroupBy(record => record.ProblemId)
            .Select(samples => new AnswerVotes(samples))
            .ToList();
        var overall = Share(greedy);
        return new ModelScores
        {
            Accuracy = overall.Accuracy,
            AccuracyCi = overall.AccuracyCi,
            N = overall.N,
            Unverified = greedy.Count(record => record.Unverified),
            Parameters = model.Parameters,
            Source = model.Source,
            Prompt = model.Asked.Prompt,
            TrainedOn = model.Asked.TrainedOn,
            MaxTokens = model.Asked.MaxTokens,
            MeanTokens = greedy.Average(record => record.Tokens),
            TruncatedShare = greedy.Average(record => !FinishReasons.IsNatural(record.FinishReason) || record.IsUnclosed ? 1.0 : 0),
            Families = new SortedDictionary<string, FamilyScores>(
                greedy.GroupBy(record => record.Family).ToDictionary(family => family.Key, family => Share([.. family])),
                StringComparer.Ordinal
            ),
            Sampled = votes.Count > 0 ? Sampled(votes, options) : null,
            AnswerCalibration = Calibrate(votes),
            Distribution = distribution,
        };
    }

    /// <param name="first">The first model's greedy answers, in the problems' order.</param>
    /// <param name="second">The second model's, in the same order.</param>
    public static Comparison Compare(
        string firstName,
        IReadOnlyList<EvaluationRecord> first,
        string secondName,
        IReadOnlyList<EvaluationRecord> second,
        long seed
    )
    {
        var differences = first.Zip(second, (a, b) => (a.Correct ? 1.0 : 0) - (b.Correct ? 1.0 : 0)).ToArray();
        var (onlyFirst, onlySecond) = (differences.Count(difference => difference > 0), differences.Count(difference => difference < 0));
        return new Comparison(
            firstName,
            secondName,
            differences.Average(),
            Bootstrap.OfMean(differences, seed),
            onlyFirst,
            onlySecond,
            McNemar.ExactPValue(onlyFirst, onlySecond),
            differences.Length
        );
    }

    static FamilyScores Share(List<EvaluationRecord> greedy)
    {
        var correct = greedy.Count(record => record.Correct);
        return new FamilyScores((double)correct / greedy.Count, WilsonInterval.Of(correct, greedy.Count), greedy.Count);
    }

    static SampledScores Sampled(List<AnswerVotes> votes, EvaluateOptions options)
    {
        int[] sizes = [.. Enumerable.Range(0, 31).Select(power => 1 << power).TakeWhile(k => k < options.Samples), options.Samples];
        return new SampledScores(
            votes.Count,
            options.Samples,
            options.Temperature,
            Mean(problem => k => PassAtK.Estimate(problem.Total, problem.Correct, k)),
            Mean(problem => k => MajorityVote.Estimate(problem.Correct, problem.Wrong, problem.Unanswered, k))
        );

        SortedDictionary<int, double> Mean(Func<AnswerVotes, Func<int, double>> estimate) =>
            new(sizes.ToDictionary(k => k, k => votes.Average(problem => estimate(problem)(k))));
    }

    static ReliabilityCurve? Calibrate(List<AnswerVotes> votes)
    {
        var calibration = new Calibration();
        foreach (var (confidence, correct) in votes.Where(problem => problem.Total > 1).Select(problem => problem.Winner()))
        {
            calibration.Add(confidence, correct);
        }

        return calibration.Curve();
    }
}
