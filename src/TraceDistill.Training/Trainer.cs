using System.Globalization;
using TraceDistill.Data.Contracts;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;

namespace TraceDistill.Training;

/// <summary>The training loop: batch → loss → backward → clip → step → log → save → evaluate.</summary>
/// <param name="options">Settings.</param>
/// <param name="weights">The trained weights; at the end the last ones, their average or the best ones, as the options say.</param>
/// <param name="observer">Takes progress and metrics.</param>
/// <param name="evaluation">How the model is judged while it learns; null for not at all.</param>
/// <param name="saveModel">
/// Writes the model as it is now into a folder: for checkpoints that are kept, and for answers; null where there are neither.
/// </param>
/// <param name="teacher">A model that teaches; null for the soft targets of batches alone. Owned by the caller.</param>
/// <param name="panel">Several teachers in place of one; null for none. Owned by the caller.</param>
/// <param name="auxiliary">Weights of objectives that compare states; null where there are none. Owned by the caller.</param>
/// <param name="penalty">Holds the weights to where they were; null for none. Owned by the caller.</param>
/// <remarks>
/// Everything a step does, its noise included, is a function of the weights, the moments, the step's number and the
/// batch, so a run that was killed and goes on from its last checkpoint ends with the bits of an uninterrupted one.
/// </remarks>
public sealed class Trainer(
    OptimizationOptions options,
    TrainedWeights weights,
    IRunObserver observer,
    EvaluationPlan? evaluation = null,
    Action<string>? saveModel = null,
    TeacherModel? teacher = null,
    TeacherPanel? panel = null,
    AuxiliaryWeights? auxiliary = null,
    ElasticPenalty? penalty = null
) : IDisposable
{
    /// <summary>Folder beside the result with a folder for each evaluation of generated answers.</summary>
    public const string EvaluationsDirectory = "evaluations";

    /// <summary>Begins the names of folders with the models of checkpoints; the step follows, in six digits or more.</summary>
    const string KeptPrefix = "checkpoint-";

    /// <summary>Batches left out one after another before even a patient training ends.</summary>
    const int MostLeftOut = 20;

    /// <summary>Steps before a spike is looked for, and how slowly the average forgets.</summary>
    const int SpikeWarmup = 20;
    const double LossDecay = 0.95;

    readonly LearningRateSchedule _rate = options.CreateSchedule();
    readonly GradientWorkers _workers = new(
        weights,
        options.ResolveWorkers(),
        options.MicroBatchTokens,
        options.ComputeDtype.On(weights.Model.Device),
        options.GradientCheckpointing,
        options.Blocks(weights.Model.Configuration),
        teacher,
        panel,
        auxiliary
    );
    readonly WeightOptimizer _optimizer = new(options, weights);
    readonly WeightAverage? _average = options.EmaDecay > 0 ? new WeightAverage(weights, options.EmaDecay) : null;
    readonly DataWait _wait = new(TimeProvider.System);
    readonly HashSet<string> _told = [];
    AdaptiveState _adaptive = new([]);
    TrainingProgress _progress,
        _saved;

    /// <summary>An average of the weights that teaches them; null for none. Owned by the caller, as are the peers.</summary>
    public SelfTeacher? Self { get; init; }

    /// <summary>Students that learn in step with this one; null for none.</summary>
    public PeerGroup? Peers { get; init; }

    /// <summary>In a training of classifiers: weighs the losses of its tasks; null in one on traces.</summary>
    public TaskBalance? Tasks { get; init; }

    /// <summary>
    /// Trains to <see cref="OptimizationOptions.MaxSteps"/>, from the checkpoint in <paramref name="checkpoints"/> if there is one.
    /// </summary>
    /// <param name="batches">Gives the batch of each step.</param>
    /// <param name="plan">The objectives and their weights at each step.</param>
    /// <param name="checkpoints">Where this run keeps its state.</param>
    /// <param name="cancellationToken">Stops between two steps or within an evaluation, after a checkpoint.</param>
    /// <returns>The steps made and the last step's mean loss.</returns>
    /// <exception cref="InvalidInputException">The training diverged.</exception>
    public FinishedTraining Run(IBatchSource batches, ObjectivePlan plan, TrainingState checkpoints, CancellationToken cancellationToken)
    {
        if (VectorSupport.Warning is { } warning)
        {
            observer.Message(warning);
        }

        _adaptive = new AdaptiveState(plan.Adapts);
        _saved = _progress = checkpoints.Restore(weights, VisitState);
        RefreshTeachers();
        if (_progress.Step > 0)
        {
            observer.Message(FormattableString.Invariant($"going on from step {_progress.Step:N0} of {options.MaxSteps:N0}"));
        }

        try
        {
            Train(batches, plan, checkpoints, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            Save(checkpoints);
            throw;
        }

        return End(checkpoints);
    }

    void Train(IBatchSource batches, ObjectivePlan plan, TrainingState checkpoints, CancellationToken cancellationToken)
    {
        // What follows a step may have been interrupted.
        SaveIfDue(checkpoints);
        if (!EvaluateIfDue(plan, checkpoints, cancellationToken))
        {
            return;
        }

        var left = checked((int)(options.MaxSteps - _progress.Step));
        foreach (var batch in _wait.Watch(batches.From(_progress.Step, cancellationToken)).Take(left))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var metrics = Update(batch, plan, checkpoints);
            Report(metrics);
            SaveIfDue(checkpoints);
            if (!EvaluateIfDue(plan, checkpoints, cancellationToken))
            {
                return;
            }
        }

        if (_progress.Step < options.MaxSteps)
        {
            // Batches end early where the wait for one is cancelled.
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    FinishedTraining End(TrainingState checkpoints)
    {
        if (!_progress.HasLearned)
        {
            throw new InvalidInputException(
                _progress.Idle > 0
                    ? $"nothing was learned: none of the {_progress.Idle} batches{AndLeftOut()} had a gradient (objectives whose weights "
                        + "are 0 at all steps, traces without the soft targets that they need, or micro-batches with no two sequences to "
                        + "compare)"
                    : $"training diverged: all {_progress.Step} batches were left out and nothing was learned; lower learning_rate, "
                        + "or look for what is wrong with the traces or the weights to start from"
            );
        }

        if (evaluation is { LoadBest: true } && _progress.BestStep > 0)
        {
            checkpoints.LoadBest(weights, _progress.BestStep);
        }
        else
        {
            _average?.Swap();
        }

        observer.Message(FormattableString.Invariant($"waited for data for {_wait.Share:P2} of the time"));
        return new FinishedTraining(_progress.Step, _progress.Loss);
    }

    /// <summary>Says how many batches were left out where nothing was learned from the others.</summary>
    string AndLeftOut() =>
        _progress.Idle == _progress.Step
            ? ""
            : FormattableString.Invariant($" that were computed ({_progress.Step - _progress.Idle:N0} others were left out)");

    public void Dispose()
    {
        _workers.Dispose();
        _optimizer.Dispose();
        _average?.Dispose();
    }

    void VisitState(BytesVisitor visit)
    {
        _optimizer.Visit(visit);
        _average?.Visit(visit);
        _adaptive.Visit(visit);
        panel?.Gate?.Visit(visit);
        auxiliary?.Visit(visit);
        Self?.Visit(visit);
        Peers?.Visit(visit);
        Tasks?.Visit(visit);
    }

    StepMetrics Update(IReadOnlyList<TraceTokens> batch, ObjectivePlan plan, TrainingState checkpoints)
    {
        var step = _progress.Step;
        var quantizationStart = options.QuantizationStartStep;
        if (plan.JumpsAt(step, options.MaxSteps) || step == quantizationStart)
        {
            (_progress.MeanLoss, _progress.Losses) = (0, 0);
        }

        var hasNoise = options.NeftuneNoiseAlpha > 0 || weights.Adapter is { Settings.Dropout: > 0 };
        UpdateNoise? noise = hasNoise ? new UpdateNoise(options.Seed, step, options.NeftuneNoiseAlpha) : null;
        var at = new TrainingPoint(step, options.MaxSteps, _adaptive);
        var objectives = plan.At(at) with { Measures = IsLogged(step + 1) || plan.Measures(step) };
        objectives = Tasks is null ? objectives : objectives with { Tasks = Tasks.At(batch, at) };
        var totals = _workers.Accumulate(batch, objectives, noise, step >= quantizationStart);
        totals = Tasks?.With(totals) ?? totals;
        Peers?.Accumulate(batch, objectives, noise);
        if (penalty is not null)
        {
            totals = totals.With(penalty.AddTo(_workers.Gradient, totals.Tokens));
        }

        var norm = _workers.GradientNorm() / totals.Tokens;
        var learningRate = _rate.ValueAt(step, options.MaxSteps);
        var metrics = new StepMetrics(totals, norm, learningRate, batch.Sum(sequence => (long)sequence.Ids.Length), objectives)
        {
            Untold = batch.Where(sequence => sequence.IsUntold).Sum(sequence => (long)sequence.Trained),
        };
        _progress.Step++;
        _progress.Loss = metrics.Loss;
        if (FaultOf(metrics) is { } fault)
        {
            Recover(fault, step, checkpoints);
            return metrics;
        }

        var isIdle = IsIdle(norm, step, objectives, totals, plan.ChangesAfter(at) || step < quantizationStart);
        TellSmallBatches(objectives, totals, step);
        var clip = options.ClipOf(norm);
        _optimizer.Step(_workers.Gradient, clip / totals.Tokens, learningRate, _progress.Step);
        var own = options.ClipOf(AuxiliaryNorm(totals));
        auxiliary?.Step(options, _workers.AuxiliaryGradient!, own / totals.Tokens, learningRate, _progress.Step);
        Peers?.Step(options, learningRate, _progress.Step);
        Self?.Add(_progress.Step);
        _average?.Add(_progress.Step);
        StepGate(totals.Panel, learningRate);
        Tasks?.Step(options, totals, learningRate / options.LearningRate, _progress.Step);
        _progress.MeanLoss = _progress.Losses == 0 ? metrics.Loss : (LossDecay * _progress.MeanLoss) + ((1 - LossDecay) * metrics.Loss);
        _progress.Losses++;
        _progress.LeftOut = 0;
        _progress.Idle += isIdle ? 1 : 0;
        _progress.HasLearned |= !isIdle;
        plan.Adapt(_adaptive, totals, at);
        return metrics;
    }

    /// <summary>Returns whether nothing was learned up to now, this step included, though later ones may have a gradient.</summary>
    /// <param name="mayChange">True where later steps have other weights, or other values of the student.</param>
    /// <exception cref="InvalidInputException">They will not.</exception>
    bool IsIdle(double norm, long step, StepObjectives objectives, LossTotals totals, bool mayChange)
    {
        if (_progress.HasLearned)
        {
            return false;
        }

        var peer = Peers?.Idle;
        if ((norm > 0 && peer is null) || mayChange || ZeroGradient.MayPass(objectives, totals))
        {
            return norm == 0;
        }

        throw norm == 0
            ? ZeroGradient.Error(step + 1, options, weights)
            : ZeroGradient.Error(step + 1, options, peer!.Value.Weights, $"peers: peer {peer.Value.Number}: ");
    }

    /// <summary>Says once that objectives which compare sequences had too few of them in a micro-batch.</summary>
    void TellSmallBatches(StepObjectives objectives, LossTotals totals, long step)
    {
        foreach (var objective in objectives.States.Select(term => term.Objective).Where(objective => objective.LeastSequences > 1))
        {
            var left = totals.Tokens - totals.Terms.First(term => term.Name == objective.ShortName).Tokens;
            if (left > 0 && _told.Add(objective.Name))
            {
                var setting = options.UpdateTokens > options.MicroBatchTokens ? "micro_batch_tokens" : "batch_tokens";
                var now = options.UpdateTokens > options.MicroBatchTokens ? options.MicroBatchTokens : options.BatchTokens;
                observer.Message(
                    FormattableString.Invariant($"objectives: {objective.Name} compares {objective.LeastSequences} sequences or more of a ")
                        + FormattableString.Invariant($"micro-batch: {left:N0} of {totals.Tokens:N0} tokens of step {step + 1:N0} are in ")
                        + FormattableString.Invariant($"smaller ones, which have no such loss; raise {setting} (now {now})")
                );
            }
        }
    }

    /// <summary>
    /// Lets the gate between several teachers follow its own loss, by Adam, along the course of the student's learning rate.
    /// </summary>
    void StepGate(PanelTotals? totals, double learningRate)
    {
        if (panel?.Gate is { } gate && totals is { Tokens: > 0 } && options is TrainOptions { TeacherGateLearningRate: var peak })
        {
            AdamStep
                .Of(options, 1 / totals.Tokens, peak * learningRate / options.LearningRate, _progress.Step)
                .Apply(gate.Weights, [.. totals.GateGradient.Select(slope => (float)slope)], gate.Mean, gate.MeanSquare, 1);
        }
    }

    /// <summary>Has models that teach and change take part as they are now, after their weights were read.</summary>
    void RefreshTeachers()
    {
        Self?.Model.Refresh();
        Peers?.Refresh();
    }

    /// <returns>Norm of the mean gradient of the weights that objectives train beside the student; 0 where there are none.</returns>
    double AuxiliaryNorm(LossTotals totals) =>
        _workers.AuxiliaryGradient is { } gradient ? Math.Sqrt(gradient.SumOfSquares()) / totals.Tokens : 0;

    /// <returns>What is wrong with a step; null where nothing is.</returns>
    string? FaultOf(in StepMetrics metrics)
    {
        var figures = string.Create(CultureInfo.InvariantCulture, $"loss {metrics.Loss}, gradient norm {metrics.GradientNorm}");
        if (!double.IsFinite(metrics.Loss) || !double.IsFinite(metrics.GradientNorm))
        {
            return figures;
        }

        if (Peers is { IsFinite: false })
        {
            return $"{figures}, but a loss or gradient of a peer is no number";
        }

        if (!double.IsFinite(AuxiliaryNorm(metrics.Totals)) || metrics.Totals.Panel?.GateGradient.All(double.IsFinite) == false)
        {
            return $"{figures}, but a gradient of what learns beside the student is no number";
        }

        var isSpike = options.SpikeFactor > 0 && _progress.Losses >= SpikeWarmup && metrics.Loss > options.SpikeFactor * _progress.MeanLoss;
        return isSpike
            ? string.Create(CultureInfo.InvariantCulture, $"{figures}, the mean loss of the last steps is {_progress.MeanLoss}")
            : null;
    }

    void Recover(string fault, long step, TrainingState checkpoints)
    {
        _progress.LeftOut++;
        if (options.OnDivergence == DivergencePolicy.Stop || _progress.LeftOut > MostLeftOut)
        {
            throw new InvalidInputException($"training diverged at step {step} ({fault}): lower learning_rate or raise warmup_ratio");
        }

        var now = _progress;
        var from = options.OnDivergence == DivergencePolicy.Rollback ? checkpoints.Restore(weights, VisitState).Step : 0;
        RefreshTeachers();
        _progress = now;
        observer.Message(
            from > 0
                ? FormattableString.Invariant(
                    $"step {step:N0}: {fault}; the weights of step {from:N0} are back, and its batches are left behind"
                )
                : FormattableString.Invariant($"step {step:N0}: {fault}; its batch is left out")
        );
        if (from > 0)
        {
            // A run that goes on from here must not go through those batches again.
            Save(checkpoints);
        }
    }

    /// <summary>Saves the state, unless it is saved.</summary>
    void Save(TrainingState checkpoints)
    {
        if (_progress != _saved)
        {
            checkpoints.Save(_progress, weights, VisitState);
            _saved = _progress;
        }
    }

    void SaveIfDue(TrainingState checkpoints)
    {
        if (_progress.Step > 0 && _progress.Step % options.SaveSteps == 0 && _progress.Step < options.MaxSteps)
        {
            Save(checkpoints);
            KeepModel(checkpoints.Directory);
        }
    }

    /// <summary>Evaluates after a step that has an evaluation, where that is not done yet: one may have been interrupted.</summary>
    /// <returns>Whether to go on.</returns>
    bool EvaluateIfDue(ObjectivePlan plan, TrainingState checkpoints, CancellationToken cancellationToken)
    {
        if (evaluation is null || !evaluation.IsDue(_progress.Step, options.MaxSteps) || _progress.EvaluatedStep == _progress.Step)
        {
            return true;
        }

        if (evaluation.Answers is not null)
        {
            // Answers take their time: however that ends, the steps before them are kept, and the evaluation comes next.
            Save(checkpoints);
        }

        // With the same weight of the soft targets at every step, or evaluations could not be compared.
        return Evaluate(
            evaluation,
            plan.SoftShareAt(new TrainingPoint(options.MaxSteps - 1, options.MaxSteps)),
            checkpoints,
            cancellationToken
        );
    }

    /// <returns>Whether to go on.</returns>
    bool Evaluate(EvaluationPlan plan, double alpha, TrainingState checkpoints, CancellationToken cancellationToken)
    {
        var scores = OfAverage(() =>
        {
            var scores = new EvaluationScores(
                plan.Traces?.Score(weights, alpha, cancellationToken),
                plan.Answers is { } answers ? Answer(answers, checkpoints.Directory, cancellationToken) : null
            )
            {
                Tasks = plan.Tasks?.Score((TaskParameters)weights.Model, cancellationToken),
            };
            if (Judge(scores.Of(plan.Metric), plan) && plan.LoadBest)
            {
                checkpoints.SaveBest(weights, _progress.Step);
            }

            return scores;
        });
        _progress.EvaluatedStep = _progress.Step;
        observer.Metrics(_progress.Step, scores.ToValues());
        var best = _progress.BestStep > 0 ? FormattableString.Invariant($"best at step {_progress.BestStep:N0}") : "no best one yet";
        observer.Message(FormattableString.Invariant($"step {_progress.Step:N0}, {scores}; {best}"));
        if (plan.Patience > 0 && _progress.Stale >= plan.Patience && _progress.Step < options.MaxSteps)
        {
            observer.Message(
                FormattableString.Invariant(
                    $"stopped early: {_progress.Stale} evaluations without a better {plan.Metric.ToString().ToLowerInvariant()}"
                )
            );
            return false;
        }

        return true;
    }

    /// <summary>Takes in the value of the metric after a step. What is no number is worse than any.</summary>
    /// <returns>Whether it is the best.</returns>
    bool Judge(double value, EvaluationPlan plan)
    {
        var isNumber = !double.IsNaN(value);
        var isFirst = isNumber && _progress.BestStep == 0;
        if (isFirst || value < _progress.Target - plan.Threshold)
        {
            (_progress.Target, _progress.Stale) = (value, 0);
        }
        else
        {
            _progress.Stale++;
        }

        // Accuracy goes by whole problems: of equal ones the later weights have learned more.
        var isBest = isFirst || value < _progress.Best || (plan.Metric == HeldOutMetric.Accuracy && value == _progress.Best);
        if (isBest)
        {
            (_progress.Best, _progress.BestStep) = (value, _progress.Step);
        }

        return isBest;
    }

    /// <summary>Has the model asked as <c>evaluate</c> asks the finished one.</summary>
    AnswerScores Answer(IAnswerEvaluation answers, string directory, CancellationToken cancellationToken)
    {
        var results = Path.Combine(directory, EvaluationsDirectory, FormattableString.Invariant($"step-{_progress.Step:000000}"));
        return WithModel(directory, model => answers.Score(model, results, cancellationToken));
    }

    /// <summary>Keeps the model of this step, where that is not done yet, and those of the last checkpoints before it.</summary>
    void KeepModel(string directory)
    {
        if (options.SaveTotalLimit == 0 || saveModel is null)
        {
            return;
        }

        var kept = Path.Combine(directory, KeptName(_progress.Step));
        if (!Directory.Exists(kept))
        {
            OfAverage(() => WithModel(directory, model =>
                {
                    DirectorySync.MoveFolder(model, kept);
                    return kept;
                }));
        }

        foreach (var old in KeptModels(directory).SkipLast(options.SaveTotalLimit))
        {
            Directory.Delete(old, recursive: true);
        }
    }

    /// <summary>Names of the folders of checkpoints that a training of all its steps keeps.</summary>
    public static IEnumerable<string> KeptNames(OptimizationOptions options)
    {
        // None is saved at the last step, whose model is the result.
        var saved = (options.MaxSteps - 1) / options.SaveSteps;
        for (var i = Math.Max(1, saved - options.SaveTotalLimit + 1); i <= saved; i++)
        {
            yield return KeptName(i * (long)options.SaveSteps);
        }
    }

    static string KeptName(long step) => FormattableString.Invariant($"{KeptPrefix}{step:000000}");

    /// <summary>
    /// Folders that <see cref="KeepModel"/> wrote, in the order of their steps; what else has a name like theirs is the user's.
    /// </summary>
    static IEnumerable<string> KeptModels(string directory) =>
        from path in Directory.GetDirectories(directory, KeptPrefix + "*")
        let name = Path.GetFileName(path)
        let step = long.TryParse(name[KeptPrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1
        where step >= 0 && name == KeptName(step)
        orderby step
        select path;

    /// <summary>Calls <paramref name="use"/> while the weights are their average, where there is one.</summary>
    T OfAverage<T>(Func<T> use)
    {
        _average?.Swap();
        try
        {
            return use();
        }
        finally
        {
            _average?.Swap();
        }
    }

    /// <summary>
    /// Writes the model as it would be at the end into a folder for as long as it is used; it may be given another name.
    /// </summary>
    T WithModel<T>(string directory, Func<string, T> use)
    {
        var model = Path.Combine(directory, TrainingState.ModelName);
        try
        {
            saveModel!(model);
            return use(model);
        }
        finally
        {
            if (Directory.Exists(model))
            {
                Directory.Delete(model, recursive: true);
            }
        }
    }

    bool IsLogged(long step) => step % options.LoggingSteps == 0 || step == options.MaxSteps;

    void Report(in StepMetrics metrics)
    {
        observer.Progress("train", _progress.Step, options.MaxSteps, "steps", $"loss {metrics.Loss:F4}");
        if (IsLogged(_progress.Step))
        {
            var values = metrics.ToValues();
            values["data_wait"] = _wait.TakeShare();
            foreach (var (name, value) in Tasks?.ToValues() ?? [])
            {
                values[name] = value;
            }

            foreach (var (peer, loss) in Peers?.Losses.Index() ?? [])
            {
                values[FormattableString.Invariant($"peer{peer + 1}_loss")] = loss;
            }

            observer.Metrics(_progress.Step, values);
        }
    }
}
