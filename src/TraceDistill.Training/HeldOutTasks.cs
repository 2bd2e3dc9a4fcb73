using TraceDistill.Data.Statistics;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training;

/// <summary>Compares classifiers in training with labelled texts that they do not learn from. No gradient is computed.</summary>
/// <param name="tasks">Names of the tasks and their sequences, in the order of the models.</param>
/// <param name="tokens">Most tokens of one forward pass.</param>
/// <param name="workers">Threads; the result does not depend on them.</param>
public sealed class HeldOutTasks(IReadOnlyList<(string Name, IReadOnlyList<TraceTokens> Sequences)> tasks, int tokens, int workers)
{
    /// <summary>Figures of the tasks that have such texts.</summary>
    /// <param name="models">The tasks' models.</param>
    /// <param name="cancellationToken">Stops before the next forward pass.</param>
    public IReadOnlyDictionary<string, LabelScores> Score(TaskParameters models, CancellationToken cancellationToken = default)
    {
        var scores = new OrderedDictionary<string, LabelScores>();
        foreach (var ((name, sequences), model) in tasks.Zip(models.Models).Where(task => task.First.Sequences.Count > 0))
        {
            scores[name] = Score(model, sequences, tokens, workers, cancellationToken);
        }

        return scores;
    }

    /// <summary>Figures of one classifier.</summary>
    public static LabelScores Score(
        IDecoderWeights model,
        IReadOnlyList<TraceTokens> sequences,
        int tokens,
        int workers,
        CancellationToken cancellationToken = default
    )
    {
        var predicted = LabelPredictions.Of(model, sequences, tokens, workers, cancellationToken);
        var labels = model.Configuration.Head!.Labels;
        return LabelScores.Of(labels, sequences.Zip(predicted).SelectMany(pair => Items(pair.First.Labels!, pair.Second, labels.Count)));
    }

    static IEnumerable<ScoredItem> Items(LabelTargets targets, float[] predicted, int labels)
    {
        return Enumerable
            .Range(0, targets.Rows.Length)
            .Select(item => new ScoredItem(Row(targets.Given, item), Row(predicted, item), Row(targets.Taught, item)));

        ReadOnlyMemory<float> Row(float[] values, int item) => values.Length == 0 ? default : values.AsMemory(item * labels, labels);
    }
}
