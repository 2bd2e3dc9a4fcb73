using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using TraceDistill.Data.Options;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Classification;

/// <summary>Ways to weigh the losses of several tasks.</summary>
public enum TaskWeights
{
    /// <summary>As they are given.</summary>
    Fixed,

    /// <summary>By learned uncertainties, beside those that are given (Kendall, Gal and Cipolla, arXiv 1705.07115).</summary>
    Uncertainty,
}

/// <summary>Settings of <c>classify</c>: classifiers from labelled texts and from larger classifiers.</summary>
public sealed partial record ClassifyOptions : OptimizationOptions, IDeviceOptions, IValidatableObject
{
    [Description("Tasks by name, each a map with file, kind, label, teacher and so on; of several, each has a model directory of its name")]
    public required IReadOnlyDictionary<string, LabelTask> Tasks { get; init; }

    [InputPath]
    [Description("Model directory to start from, a classifier or a model that writes text; instead of architecture")]
    public string? Student { get; init; }

    [Description("Config of a student from scratch; instead of student")]
    public ModelArchitecture? Architecture { get; init; }

    [InputPath]
    [Description("Model directory whose tokenizer a student from scratch takes")]
    public string? Tokenizer { get; init; }

    /// <value>Null: all, so that tasks have nothing of their own but their heads.</value>
    [Range(0, int.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Lower layers that all tasks share; each has copies of its own of the others, begun alike; unless given, all are shared")]
    public int? SharedLayers { get; init; }

    /// <value>fixed.</value>
    [Description("Weights of the tasks' losses: fixed, as each task's weight says, or uncertainty, learned beside")]
    public TaskWeights TaskWeights { get; init; }

    /// <value>0.01.</value>
    [Range(1e-12, 10.0, ErrorMessage = "must be above 0 and at most 10")]
    [Description("Peak learning rate of the tasks' log-variances, with task_weights: uncertainty; it takes the course of learning_rate")]
    public double UncertaintyLearningRate { get; init; } = DefaultUncertaintyLearningRate;

    /// <summary>
    /// 1 draws texts of all tasks as often as there are of each; the larger, the more alike tasks of different sizes (Raffel et al.,
    /// arXiv 1910.10683, section 3.5.2).
    /// </summary>
    /// <value>1.</value>
    [Range(1e-3, 1e6, ErrorMessage = "must be above 0")]
    [Description("Temperature of the tasks' shares of each step: 1 is in proportion to their tokens, larger ones make shares more alike")]
    public double SamplingTemperature { get; init; } = 1;

    /// <value>0.7.</value>
    [Description("Weight of a teacher's labels beside the file's, from 0 to 1; a number, or a map with schedule, from and to")]
    public Schedule KdAlpha { get; init; } = TrainOptions.DefaultAlpha;

    /// <value>2.</value>
    [Description("Temperature of teacher and student in the soft loss, whose T² keeps its gradient's size; a number or a schedule")]
    public Schedule KdTemperature { get; init; } = Schedule.Constant(2);

    /// <value>0.</value>
    [Range(0.0, 0.9999, ErrorMessage = "must be from 0 to below 1")]
    [Description("Label smoothing: share of a label's probability that is spread over all labels")]
    public double LabelSmoothing { get; init; }

    /// <value>Null: a longer text than the student has positions is an error.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Tokens that longer texts are cut to; unless given, one that is longer than the student's positions is an error")]
    public int? MaxLength { get; init; }

    /// <value>0: none.</value>
    [Range(0.0, 0.9, ErrorMessage = "must be from 0 to 0.9")]
    [Description("Fraction of each file without eval_file that is held out and evaluated on: by the texts alone, the same in every run")]
    public double EvalFraction { get; init; }

    /// <value>200 steps.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Steps between evaluations on held-out texts; the last step has one too")]
    public int EvalSteps { get; init; } = 200;

    /// <value>loss.</value>
    [Description("Metric that decides which weights are the best, its mean over tasks: loss, kl or accuracy")]
    public HeldOutMetric MetricForBestModel { get; init; }

    /// <value>False: the last ones.</value>
    [Description("End with the weights that were the best by metric_for_best_model")]
    public bool LoadBestModelAtEnd { get; init; }

    /// <value>0: never.</value>
    [Range(0, int.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Evaluations without a better metric_for_best_model after which training stops; 0 turns this off")]
    public int EarlyStoppingPatience { get; init; }

    /// <value>0.</value>
    [Range(0.0, double.MaxValue, ErrorMessage = "must not be negative")]
    [Description("Least improvement of metric_for_best_model that counts for early_stopping_patience")]
    public double EarlyStoppingThreshold { get; init; }

    const double DefaultUncertaintyLearningRate = 0.01;

    /// <summary>True where texts are held out.</summary>
    bool IsEvaluated => EvalFraction > 0 || Tasks.Values.Any(task => task.EvalFile is not null);

    /// <summary>The models' folders: of one task the result's own.</summary>
    public IEnumerable<string> Folders(string directory) =>
        Tasks.Count == 1 ? [directory] : Tasks.Keys.Select(task => Path.Combine(directory, task));

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Student is null == Architecture is null)
        {
            yield return new ValidationResult(
                (Student is null ? "is required: " : "leave one of the two out: ")
                    + "either student, a model directory, or architecture, the config of one from scratch",
                [nameof(Student)]
            );
        }

        if (Architecture is null == Tokenizer is not null)
        {
            yield return new ValidationResult(
                Tokenizer is null
                    ? "is required: a student from scratch takes the tokenizer of a model directory"
                    : "goes with architecture; a student has its own",
                [nameof(Tokenizer)]
            );
        }

        foreach (var problem in ValidateTasks().Concat(ValidateLoss()).Concat(ValidateEffects()).Concat(ValidateWhatIsNotHere()))
        {
            yield return problem;
        }
    }

    IEnumerable<ValidationResult> ValidateTasks()
    {
        if (Tasks.Count == 0)
        {
            yield return new ValidationResult("is required: at least one task", [nameof(Tasks)]);
        }

        foreach (var name in Tasks.Keys.Where(name => !TaskName().IsMatch(name)))
        {
            yield return new ValidationResult(
                $"\"{name}\" names a folder and figures: letters, digits, _ and -, a letter first",
                [nameof(Tasks)]
            );
        }

        string[] figures = ["ce", "kd"];
        if (Tasks.Keys.FirstOrDefault(name => figures.Any(figure => Tasks.ContainsKey($"{name}_{figure}"))) is { } twice)
        {
            yield return new ValidationResult(
                $"{twice}_ce and {twice}_kd are figures of {twice}; rename one of the tasks",
                [nameof(Tasks)]
            );
        }

        if (Tasks.Count > 0 && Tasks.Values.All(task => task.Weight == 0))
        {
            yield return new ValidationResult("every weight is 0: nothing would be learned", [nameof(Tasks)]);
        }

        if (Tasks.Values.Any(task => task.Share is null) && Tasks.FirstOrDefault(task => task.Value.Share is not null).Key is { } shared)
        {
            yield return new ValidationResult($"{shared} has a share and others have none; give every task one, or none", [nameof(Tasks)]);
        }

        foreach (var (name, task) in Tasks)
        {
            if (task.Labels.Count == 1 || task.Labels.Distinct().Count() < task.Labels.Count)
            {
                yield return new ValidationResult($"{name}: labels are two or more, no two of a name", [nameof(Tasks)]);
            }
        }
    }

    IEnumerable<ValidationResult> ValidateLoss()
    {
        foreach (var (schedule, name) in new[] { (KdAlpha, nameof(KdAlpha)), (KdTemperature, nameof(KdTemperature)) })
        {
            if (schedule.Problem is { } problem)
            {
                yield return new ValidationResult(problem, [name]);
            }
            else if (!schedule.IsOverSteps)
            {
                yield return new ValidationResult("is a number, or a schedule over the steps", [name]);
            }
        }

        if (KdAlpha.Range is { Low: < 0 } or { High: > 1 })
        {
            yield return new ValidationResult("must be from 0 to 1", [nameof(KdAlpha)]);
        }

        if (KdTemperature.Range.Low <= 0)
        {
            yield return new ValidationResult("must be above 0", [nameof(KdTemperature)]);
        }

        if (KdAlpha.Range.High == 0 && Tasks.FirstOrDefault(task => task.Value.Teacher is not null).Key is { } taught)
        {
            yield return new ValidationResult($"is 0, and {taught} has a teacher: leave one of the two out", [nameof(KdAlpha)]);
        }

        if (TaskWeights == TaskWeights.Uncertainty && SpikeFactor > 0)
        {
            yield return new ValidationResult("a loss by uncertainty may be below 0; leave one of the two out", [nameof(SpikeFactor)]);
        }

        if (MetricForBestModel is not (HeldOutMetric.Loss or HeldOutMetric.Kl or HeldOutMetric.Accuracy))
        {
            yield return new ValidationResult("of labels it is loss, kl or accuracy", [nameof(MetricForBestModel)]);
        }

        if (MetricForBestModel == HeldOutMetric.Kl && Tasks.Any(task => task.Value.Teacher is null))
        {
            yield return new ValidationResult("kl is to a teacher, which every task must have", [nameof(MetricForBestModel)]);
        }

        if (!IsEvaluated && (LoadBestModelAtEnd || EarlyStoppingPatience > 0))
        {
            yield return new ValidationResult(
                "is required where the best weights or an early stop depend on it: a fraction to evaluate on, or a task's eval_file",
                [nameof(EvalFraction)]
            );
        }
    }

    /// <summary>Settings that would change nothing.</summary>
    IEnumerable<ValidationResult> ValidateEffects()
    {
        if (TaskWeights == TaskWeights.Fixed && UncertaintyLearningRate != DefaultUncertaintyLearningRate)
        {
            yield return new ValidationResult("goes with task_weights: uncertainty", [nameof(UncertaintyLearningRate)]);
        }

        if (SharedLayers is not null && Tasks.Count == 1)
        {
            yield return new ValidationResult("is of several tasks, and there is one; leave it out", [nameof(SharedLayers)]);
        }

        if (SamplingTemperature != 1 && Tasks.Values.Any(task => task.Share is not null))
        {
            yield return new ValidationResult(
                "makes shares of sizes, and the tasks are given theirs (share); leave one out",
                [nameof(SamplingTemperature)]
            );
        }

        if (EvalFraction > 0 && Tasks.Count > 0 && Tasks.Values.All(task => task.EvalFile is not null))
        {
            yield return new ValidationResult(
                "is of files without eval_file, and every task has one; leave it out",
                [nameof(EvalFraction)]
            );
        }
    }

    /// <summary>Settings that every training has by its type, and that this one has no use for.</summary>
    IEnumerable<ValidationResult> ValidateWhatIsNotHere()
    {
        if (ProblemField.Count > 0 || AnswerField is not null || SolutionField is not null || Duplicates != default)
        {
            yield return new ValidationResult(
                "is of problem files; here each task says by text and label what its fields are called",
                [
                    ProblemField.Count > 0 ? nameof(ProblemField)
                    : AnswerField is not null ? nameof(AnswerField)
                    : SolutionField is not null ? nameof(SolutionField)
                    : nameof(Duplicates),
                ]
            );
        }

        if (QuantizationAware != QuantizationAware.None)
        {
            yield return new ValidationResult(
                "is for models that are exported to GGUF, which holds no classifiers",
                [nameof(QuantizationAware)]
            );
        }

        if (ZLossWeight > 0)
        {
            yield return new ValidationResult("is of vocabularies, whose logits drift; labels have none", [nameof(ZLossWeight)]);
        }
    }

    [GeneratedRegex(@"^[A-Za-z][A-Za-z0-9_\-]*\z", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex TaskName();
}
