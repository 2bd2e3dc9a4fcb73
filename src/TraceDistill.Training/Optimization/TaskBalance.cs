using System.Runtime.InteropServices;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;

namespace TraceDistill.Training.Optimization;

/// <summary>
/// Weighs the losses of several tasks: Σ w · L, each L being the mean over the task's items in the step. By uncertainty
/// w = weight · e^(−s) with a learned s for each task, the logarithm of its variance, and the loss has weight · s / 2 beside (Kendall, Gal
/// and Cipolla, arXiv 1705.07115, equation 10 with s = log σ²): a task whose loss stays large counts less. At the optimum e^s = 2 L.
/// </summary>
public sealed class TaskBalance
{
    readonly IReadOnlyList<string> _names;
    readonly double[] _weights;
    readonly float[] _logVariances,
        _mean,
        _meanSquare;

    /// <param name="tasks">Names and weights.</param>
    /// <param name="learningRate">Peak learning rate of s; null where weights are fixed.</param>
    public TaskBalance(IReadOnlyList<(string Name, double Weight)> tasks, double? learningRate)
    {
        _names = [.. tasks.Select(task => task.Name)];
        _weights = [.. tasks.Select(task => task.Weight)];
        LearningRate = learningRate;
        (_logVariances, _mean, _meanSquare) = (new float[tasks.Count], new float[tasks.Count], new float[tasks.Count]);
    }

    /// <summary>Peak learning rate of s; null where weights are fixed.</summary>
    public double? LearningRate { get; }

    /// <summary>s of each task; 0 before the first step, and always where weights are fixed.</summary>
    public ReadOnlySpan<float> LogVariances => _logVariances;

    /// <summary>T of the soft loss.</summary>
    public Schedule Temperature { get; init; } = Schedule.Constant(1);

    /// <summary>ε of label smoothing.</summary>
    /// <value>0.</value>
    public double Smoothing { get; init; }

    /// <summary>How the losses of a batch are made and weighed.</summary>
    /// <param name="batch">The sequences of the step.</param>
    /// <param name="at">The step.</param>
    public StepTasks At(IReadOnlyList<TraceTokens> batch, TrainingPoint at)
    {
        var items = new double[_names.Count];
        foreach (var labels in batch.Select(sequence => sequence.Labels!))
        {
            items[labels.Task] += labels.Rows.Length;
        }

        var all = items.Sum();
        return new StepTasks(
            _names,
            [.. items.Select((count, task) => count == 0 ? 0 : WeightOf(task) * all / count)],
            Temperature.ValueAt(at),
            Smoothing
        );
    }

    /// <summary>A step's sums with what uncertainty adds to the loss, for the tasks that it has items of.</summary>
    public LossTotals With(LossTotals totals)
    {
        var added = Enumerable.Range(0, _names.Count).Where(task => ItemsOf(totals, task) > 0).Sum(task => Penalty(task));
        return totals with { Loss = totals.Loss + (added * totals.Tokens) };
    }

    /// <summary>Lets s follow its gradient, weight · (½ − e^(−s) · L), by Adam.</summary>
    /// <param name="options">Decay rates and ε.</param>
    /// <param name="totals">Sums of the step.</param>
    /// <param name="share">Share of its peak that the learning rate has at this step.</param>
    /// <param name="update">Counts from 1.</param>
    public void Step(OptimizationOptions options, LossTotals totals, double share, long update)
    {
        if (LearningRate is { } peak)
        {
            AdamStep.Of(options, 1, peak * share, update).Apply(_logVariances, Gradient(totals), _mean, _meanSquare, decay: 1);
        }
    }

    /// <returns>Of the loss by each s; 0 for tasks that the step has no items of.</returns>
    internal float[] Gradient(LossTotals totals) =>
        [
            .. Enumerable
                .Range(0, _names.Count)
                .Select(task =>
                    ItemsOf(totals, task) is > 0 and var items
                        ? (float)((_weights[task] / 2) - (WeightOf(task) * totals.Of(_names[task]) / items))
                        : 0
                ),
        ];

    /// <summary>For metrics: s and the weight that a task's loss has by it; nothing where weights are fixed.</summary>
    public IEnumerable<(string Name, double Value)> ToValues() =>
        LearningRate is null
            ? []
            : _names.SelectMany(
                (name, task) => new[] { ($"{name}_log_variance", (double)_logVariances[task]), ($"{name}_weight", WeightOf(task)) }
            );

    /// <summary>Shows the memory of s and its moments: to be written to a checkpoint, or filled from one.</summary>
    internal void Visit(BytesVisitor visit)
    {
        foreach (var values in new[] { _logVariances, _mean, _meanSquare })
        {
            visit(MemoryMarshal.AsBytes(values.AsSpan()));
        }
    }

    double WeightOf(int task) => _weights[task] * Math.Exp(-_logVariances[task]);

    double Penalty(int task) => _weights[task] * _logVariances[task] / 2;

    /// <summary>Those of the whole step, which are in the term of the task's own name.</summary>
    long ItemsOf(LossTotals totals, int task) => totals.Terms.First(term => term.Name == _names[task]).Tokens;
}
