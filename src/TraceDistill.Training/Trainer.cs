using TraceDistill.Core.Alignment;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Observation;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training;

/// <summary>The training loop: batch → loss → backward → clip → step → log → save.</summary>
/// <remarks>
/// Everything a step does, its noise included, is a function of the weights, the moments, the step's number and the batch, so a run that was killed and goes on
/// from its last checkpoint ends with the bits of an uninterrupted one.
/// </remarks>
public sealed class Trainer(OptimizationOptions options, TrainedWeights weights, IRunObserver observer)
{
    /// <summary>Trains to <see cref="OptimizationOptions.MaxSteps"/>, from the checkpoint in <paramref name="checkpoints"/> if there is one.</summary>
    /// <param name="batches">Endless batches from update 0 on; those of updates that a checkpoint holds are skipped.</param>
    /// <param name="settings">Weight and temperature of the soft targets at an update.</param>
    /// <param name="checkpoints">Where this run keeps its state.</param>
    /// <returns>The last update's mean losses.</returns>
    public StepMetrics Run(
        IEnumerable<IReadOnlyList<TraceTokens>> batches, Func<long, DistillationSettings> settings, TrainingState checkpoints, CancellationToken cancellationToken)
    {
        var rate = options.CreateSchedule();
        using var workers = new GradientWorkers(weights, options.ResolveWorkers(), options.MicroBatchTokens, Precision(), options.GradientCheckpointing);
        using var optimizer = new WeightOptimizer(options, weights);
        var step = checkpoints.Restore(weights, optimizer);
        if (step > 0)
        {
            observer.Message(FormattableString.Invariant($"going on from step {step:N0} of {options.MaxSteps:N0}"));
        }

        var hasNoise = options.NeftuneNoiseAlpha > 0 || weights.Adapter is { Settings.Dropout: > 0 };
        var metrics = default(StepMetrics);
        foreach (var batch in batches.Skip(checked((int)step)).Take(checked((int)(options.MaxSteps - step))))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var totals = workers.Accumulate(batch, settings(step), hasNoise ? new UpdateNoise(options.Seed, step, options.NeftuneNoiseAlpha) : null);
            var norm = workers.GradientNorm() / totals.Tokens;
            if (!double.IsFinite(totals.Loss) || !double.IsFinite(norm))
            {
                throw new InvalidInputException($"training diverged at step {step} (loss {totals.Loss / totals.Tokens}, gradient norm {norm}): lower learning_rate or raise warmup_ratio");
            }

            var clip = options.MaxGradNorm > 0 ? Math.Min(1, options.MaxGradNorm / norm) : 1;
            var learningRate = rate.ValueAt(step, options.MaxSteps);
            optimizer.Step(workers.Gradient, clip / totals.Tokens, learningRate, ++step);
            metrics = new StepMetrics(totals, norm, learningRate, batch.Sum(sequence => (long)sequence.Ids.Length));
            Report(step, metrics);
            if (step % options.SaveSteps == 0 && step < options.MaxSteps)
            {
                checkpoints.Save(step, weights, optimizer);
            }
        }

        return metrics;
    }

    ComputeDtype Precision()
    {
        if (VectorSupport.Warning is { } warning)
        {
            observer.Message(warning);
        }

        return options.ComputeDtype.OnThisProcessor();
    }

    void Report(long step, in StepMetrics metrics)
    {
        observer.Progress("train", step, options.MaxSteps, "steps", $"loss {metrics.Loss:F4}");
        if (step % options.LoggingSteps == 0 || step == options.MaxSteps)
        {
            observer.Metrics(step, metrics.ToValues());
        }
    }
}
