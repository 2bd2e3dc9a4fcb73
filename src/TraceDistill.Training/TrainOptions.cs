using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Options;
using TraceDistill.Data.Prompts;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training;

/// <summary>
/// Settings of <c>train</c>: a student from traces. With <c>kd_alpha: 0</c> it is supervised
/// fine-tuning. Adapters' names are TRL's and axolotl's.
/// </summary>
public sealed record TrainOptions : OptimizationOptions, IDeviceOptions, IValidatableObject
{
    /// <summary>
    /// Sets without weights are one, shuffled together. With weights an epoch (<see cref="OptimizationOptions.NumTrainEpochs"/>) is as many
    /// tokens as all sets have together, and worked solutions of <see cref="Problems"/> have the share that their own tokens are of these.
    /// </summary>
    /// <value>None.</value>
    [InputPath]
    [Description(
        "Folder of trace shards, or one Parquet file; or several, each a path or { path, weight }, where weights are shares of the tokens"
    )]
    public IReadOnlyList<TraceSet> Traces { get; init; } = [];

    [InputPath]
    [Description("File of problems whose worked solutions are learned too, by the hard loss")]
    public string? Problems { get; init; }

    /// <value>None.</value>
    [InputPath]
    [Description(
        "Problem files with the pictures (field picture) of the traces' problems, for a student with a picture_encoder: "
            + "it looks at them in place of the text that the teacher read"
    )]
    public IReadOnlyList<string> Pictures { get; init; } = [];

    [InputPath]
    [Description("Model directory to start from; instead of architecture")]
    public string? Student { get; init; }

    [Description("Config of a student from scratch; instead of student")]
    public ModelArchitecture? Architecture { get; init; }

    [InputPath]
    [Description(
        "Model directory from which the initial weights of architecture are cut: layers and heads at even distances, "
            + "the first channels; its tokenizer is taken too"
    )]
    public string? InitFrom { get; init; }

    /// <value>The one that was stored with the traces.</value>
    [InputPath]
    [Description("Model directory whose tokenizer a student from scratch takes; otherwise the one stored with the traces")]
    public string? Tokenizer { get; init; }

    /// <value>The one that was stored with the traces.</value>
    [InputPath]
    [Description(
        "Model directory whose tokenizer the traces' token ids are of; otherwise the one stored with the traces; "
            + "a student with another vocabulary is aligned by bytes"
    )]
    public string? TeacherTokenizer { get; init; }

    /// <summary>
    /// The loss is the sum of all, each with its weight. Without it, it is <c>kd_alpha</c> · T² · KL(teacher ‖ student) + (1 −
    /// <c>kd_alpha</c>) · CE. At a token without soft targets cross entropy has the weights of all that need them.
    /// </summary>
    /// <value>None: kd_alpha decides.</value>
    [Description("Objectives that are minimised, in place of kd_alpha: names, or maps of a name to its weight or to a map of its settings")]
    public IReadOnlyList<ObjectiveChoice> Objectives { get; init; } = [];

    /// <summary>The student is a model as any other, whose answers may leave it early.</summary>
    /// <value>None.</value>
    [Description("Layers that are exits, taught by the last one: a map with layers, weight, alpha and temperature")]
    public EarlyExits? EarlyExits { get; init; }

    /// <summary>
    /// Its decay grows to this over the first steps, as that of <c>ema_decay</c> does. With <c>lora_r</c> it is of the adapters, beside the
    /// same model.
    /// </summary>
    /// <value>None.</value>
    [Range(0.0, 0.999999, ErrorMessage = "must be from 0 to 0.999999")]
    [Description(
        "Decay of an average of the student's own weights that teaches it while it learns (mean teacher), in place of the traces' soft "
            + "targets; none unless given"
    )]
    public double? SelfTeacherDecay { get; init; }

    /// <summary>Full fine-tuning only. Their models are in <c>peers/1</c> and so on, beside the first student's.</summary>
    /// <value>None.</value>
    [InputPath]
    [Description(
        "Further students that learn in step with this one (mutual learning), each taught by the others in place of the traces' soft "
            + "targets: maps with architecture or student, and seed"
    )]
    public IReadOnlyList<PeerChoice> Peers { get; init; } = [];

    internal static readonly Schedule DefaultAlpha = Schedule.Constant(0.7);

    /// <value>0.7, where no objectives are given.</value>
    [Description("Weight of the soft targets: a number, or a map with schedule, from and to; 0.7 unless objectives are given")]
    public Schedule? KdAlpha { get; init; }

    /// <value>1.0.</value>
    [Description("Temperature of teacher and student in soft losses: a number, or a map with schedule, from and to")]
    public Schedule KdTemperature { get; init; } = Schedule.Constant(1.0);

    /// <summary>
    /// It runs over the student's own sequences, without a gradient, and its whole distributions take the place of stored soft targets: for
    /// traces without logprobs and worked solutions too. Its vocabulary is the student's.
    /// </summary>
    /// <value>None: the soft targets are those of the traces.</value>
    [InputPath]
    [Description("Model directory of a teacher that is run while the student learns, in place of the traces' soft targets")]
    public string? Teacher { get; init; }

    /// <summary>
    /// Privileged context: the teacher reads this prompt, in which the problem's solution and answer may stand, and behind it the student's
    /// own completion; the student reads its own. For the model that <see cref="Teacher"/> names, all models among <see cref="Teachers"/>,
    /// the average of <see cref="SelfTeacherDecay"/> and <see cref="Peers"/>.
    /// </summary>
    /// <value>None: what the student reads.</value>
    [KnownPrompt]
    [Description(
        "Prompt directory that models which teach read in place of the student's prompt, with $problem, $solution and $answer of the "
            + "problem"
    )]
    public string? TeacherPrompt { get; init; }

    /// <summary>They are joined to the traces by the problems' ids.</summary>
    /// <value>None: question and answer are the traces' own, and there is no solution.</value>
    [InputPath]
    [Description(
        "Files with the problems of the traces, whose solutions and answers teacher_prompt shows; problem_field and the other field "
            + "options apply to them too"
    )]
    public IReadOnlyList<string> TeacherProblems { get; init; } = [];

    /// <value>auto: the student's device.</value>
    [Operational]
    [Description("Device that the teacher runs on: cpu, cuda, cuda:N, or auto, the student's")]
    public DeviceChoice TeacherDevice { get; init; } = DeviceChoice.Auto;

    IEnumerable<DeviceChoice> IDeviceOptions.FurtherDevices =>
        RunTeachers.Select(teacher => teacher.Device).Where(device => device != DeviceChoice.Auto);

    /// <value>Null: what its files have.</value>
    [Description(
        "Precision that the teacher's weights are held in: float32, or bfloat16 for half of the memory; as its files have it unless given"
    )]
    public MasterDtype? TeacherDtype { get; init; }

    /// <summary>
    /// At each token the distributions of those that say something of it become one. Where all are stored, they are compared over the
    /// tokens that any of them reported, and all others as one; where one is a model, over the whole vocabulary. A token that a stored
    /// teacher did not report has an even share of its tail, and no more than the least probability that it reported.
    /// </summary>
    /// <value>None: teacher, or the soft targets of the traces.</value>
    [InputPath]
    [Description(
        "Teachers in place of one: model directories, or maps with model, scores or traces: true, and weight; "
            + "their distributions are averaged at each token"
    )]
    public IReadOnlyList<TeacherChoice> Teachers { get; init; } = [];

    /// <summary>
    /// What makes the weights of several teachers; each is in proportion to the teacher's own <c>weight</c>, and they sum to 1 over the
    /// teachers that say something of a token. A gate is a linear layer over the student's last hidden state and each teacher's entropy and
    /// highest log-probability; it learns to make the drawn tokens probable, with an optimizer of its own.
    /// </summary>
    /// <value>fixed.</value>
    [Description(
        "Rule of how much each of several teachers counts: fixed, verdict (of the trace), confidence or entropy "
            + "(at each token), or gate, which is learned"
    )]
    public TeacherWeights TeacherWeights { get; init; }

    /// <value>probability.</value>
    [Description("Average of several teachers' distributions: probability, or log, the normalised geometric mean")]
    public TeacherAverage TeacherAverage { get; init; }

    /// <value>0.01.</value>
    [Range(1e-9, 10.0, ErrorMessage = "must be from 1e-9 to 10")]
    [Description("Peak learning rate of the gate, with teacher_weights: gate; it follows the course of learning_rate")]
    public double TeacherGateLearningRate { get; init; } = 0.01;

    /// <summary>
    /// random_sampling draws from a teacher's whole distributions, without bias (RS-KD, arXiv 2503.16870); sampled_top_k from stored top-k,
    /// which is biased by what they leave out.
    /// </summary>
    /// <value>none.</value>
    [Description(
        "Drawing of soft targets: none, random_sampling (of a teacher on disk, without bias) or sampled_top_k (of the traces', biased)"
    )]
    public SoftTargetSampling KdSampling { get; init; }

    /// <value>12.</value>
    [Range(1, 256, ErrorMessage = "must be from 1 to 256")]
    [Description("Tokens drawn of each distribution, with kd_sampling")]
    public int KdDraws { get; init; } = 12;

    /// <value>As many as the traces hold; the whole vocabulary of a teacher on disk.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Soft targets used for each token, the most probable ones; all unless given")]
    public int? KdTopK { get; init; }

    /// <value>tail_bucket.</value>
    [Description("Treatment of the probability outside the top k: tail_bucket, renormalize, uniform_tail, residual_to_label or truncate")]
    public MissingMass KdMissingMass { get; init; } = MissingMass.TailBucket;

    /// <summary>
    /// Universal Logit Distillation (Boizard et al., arXiv 2402.12030) of what a student with another vocabulary has no tokens for.
    /// </summary>
    /// <value>0.</value>
    [Range(0.0, double.MaxValue, ErrorMessage = "must be at least 0")]
    [Description(
        "Weight, within the soft loss, of the distance between sorted probabilities of alternatives that are no tokens of the "
            + "student, for a teacher with another vocabulary"
    )]
    public double KdUldWeight { get; init; }

    /// <value>0: no minimum.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description(
        "Least soft-target coverage after alignment, for a teacher with another vocabulary: a fraction of the tokens and of the "
            + "probability; training with less is refused"
    )]
    public double KdMinAlignment { get; init; }

    /// <summary>Rejection sampling, as DeepSeek-R1's distilled models were made with.</summary>
    /// <value>False: all traces that came to an end.</value>
    [Description("Use only traces whose answer was verified as correct")]
    public bool OnlyCorrect { get; init; }

    /// <value>All.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Use only the first N traces of each data set")]
    public int? MaxTraces { get; init; }

    /// <summary>
    /// Traces are as much in memory as they take in their shards. A set that fits is in memory and is shuffled
    /// as a whole; of a larger one as many row groups as fit are mixed at a time, in a new order each epoch.
    /// </summary>
    /// <value>256 MiB: about six million tokens of compact shards at k = 20.</value>
    [Range(1, 1 << 20, ErrorMessage = "must be from 1 to 1048576")]
    [Description("Mebibytes of traces that are in memory and shuffled at a time")]
    public int ShuffleBufferMb { get; init; } = 256;

    /// <value>0: one for each four cores.</value>
    [Operational]
    [Range(0, 64, ErrorMessage = "must be from 0 to 64")]
    [Description("Threads that read and decode traces ahead of the training; 0 is one for each four cores")]
    public int DataloaderNumWorkers { get; init; }

    /// <summary>Every set of a mixture with weights has an order and an easiest share of its own.</summary>
    /// <value>None: all sequences from the first step on.</value>
    [Description(
        "Easy sequences first: length, entropy or pass_rate, which make a sequence difficult, "
            + "or a map with by, until, from and pace; all sequences from the first step on unless given"
    )]
    public Curriculum? Curriculum { get; init; }

    /// <value>max_position_embeddings of the student.</value>
    [Range(2, int.MaxValue, ErrorMessage = "must be at least 2")]
    [Description("Longest sequence in tokens; longer ones are left out and counted")]
    public int? MaxLength { get; init; }

    /// <value>Null: the model's own weights are the trainable parameters.</value>
    [Range(1, 65_536, ErrorMessage = "must be from 1 to 65536")]
    [Description("Rank of LoRA adapters, which are the trainable parameters in place of the model's own; full fine-tuning unless given")]
    public int? LoraR { get; init; }

    /// <value>Null: twice lora_r, so that the share of an adapter, lora_alpha / lora_r, stays 2 at any rank.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("LoRA scaling is lora_alpha / lora_r; twice lora_r unless given")]
    public int? LoraAlpha { get; init; }

    /// <value>0.</value>
    [Range(0.0, 0.99, ErrorMessage = "must be from 0 to 0.99")]
    [Description("Fraction of an adapter's inputs dropped in training")]
    public double LoraDropout { get; init; }

    /// <value>all-linear: every projection of every layer, those of experts too.</value>
    [Description(
        "Layers that have adapters, by the ends of their names such as q_proj or layers.0.mlp.up_proj; every one "
            + "(all-linear) unless given"
    )]
    public IReadOnlyList<string> LoraTargetModules { get; init; } = [LoraAdapter.AllLinear];

    /// <value>False.</value>
    [Description("Use DoRA: adapters learn the size of each row apart from its direction")]
    public bool UseDora { get; init; }

    /// <summary>The adapters that are trained; null where the model's own weights are.</summary>
    internal LoraSettings? Adapters =>
        LoraR is { } rank ? new LoraSettings(rank, LoraAlpha ?? 2 * rank, LoraDropout, LoraTargetModules, UseDora) : null;

    /// <value>None.</value>
    [Description(
        "Regular expressions over the names of parameters, such as embed_tokens or layers\\.[0-3]\\.; "
            + "those that match are frozen, the others are the trainable parameters"
    )]
    public IReadOnlyList<string> FrozenParameters { get; init; } = [];

    /// <value>None.</value>
    [InputPath]
    [Description("Folder of trace shards, or one Parquet file, that the student is evaluated on while it learns; or eval_fraction")]
    public string? EvalTraces { get; init; }

    /// <value>0.</value>
    [Range(0.0, 0.9, ErrorMessage = "must be from 0 to 0.9")]
    [Description(
        "Fraction of the traces' problems that are held out of training and evaluated on while the student learns; or eval_traces"
    )]
    public double EvalFraction { get; init; }

    /// <summary>
    /// They are answered greedily, in the words of the traces, as <c>evaluate</c> has them answered by the finished
    /// model. Take other problems than those of the traces, and than those that the finished model is reported on.
    /// </summary>
    /// <value>None.</value>
    [InputPath]
    [Description(
        "File of problems that the student answers while it learns, for eval_accuracy; "
            + "problem_field and the other field options apply to it too"
    )]
    public string? EvalProblems { get; init; }

    /// <value>All.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Use only the first N of eval_problems")]
    public int? EvalLimit { get; init; }

    /// <value>As long as the traces could be; 512 where nothing is known of that.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Longest answer to eval_problems in tokens; unless given, as long as the traces could be")]
    public int? EvalMaxTokens { get; init; }

    /// <value>200 steps.</value>
    [Range(1, int.MaxValue, ErrorMessage = "must be at least 1")]
    [Description("Steps between evaluations on held-out traces and problems; the last step has one too")]
    public int EvalSteps { get; init; } = 200;

    /// <value>loss; accuracy where there are eval_problems and no held-out traces.</value>
    [Description(
        "Metric that decides which weights are the best: loss (kd_alpha · kl + (1 − kd_alpha) · ce with the last step's kd_alpha; of "
            + "objectives the share of the soft ones), kl, ce or top1 on held-out traces, or accuracy on eval_problems"
    )]
    public HeldOutMetric? MetricForBestModel { get; init; }

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

    /// <value>None.</value>
    [Description("Traces of what the student has learned before, gone through beside the others: a map with traces, share and max_traces")]
    public Rehearsal? Rehearsal { get; init; }

    /// <value>None.</value>
    [Description(
        "Elastic weight consolidation: what the student has learned before holds its weights where they were, each as much as it "
            + "matters there: a map with traces, weight, fisher_samples and fisher"
    )]
    public Ewc? Ewc { get; init; }

    /// <summary>All data sets that are learned from, those that are rehearsed last.</summary>
    public IEnumerable<string> TracePaths() => [.. Traces.Select(set => set.Path), .. Rehearsal?.Traces ?? []];

    /// <summary>The data set whose tokenizer, template and task a student takes over; null where there is none.</summary>
    internal string? FirstTraces => Traces.Count > 0 ? Traces[0].Path : null;

    /// <summary>Names the data in errors.</summary>
    internal string DataName => Traces.Count > 0 ? string.Join(", ", Traces.Select(set => set.Path)) : Problems ?? "";

    /// <summary>The loss, at every step.</summary>
    internal ObjectivePlan ResolveObjectives()
    {
        var plan =
            Objectives.Count > 0
                ? new ObjectivePlan { Objectives = [.. Objectives.Select(choice => Tempered(choice.Chosen))] }
                : ObjectivePlan.Classic(KdAlpha ?? DefaultAlpha, KdTemperature, KdMissingMass, KdUldWeight, ZLossWeight);
        return plan with { Policy = Policy, Exits = EarlyExits };
    }

    /// <summary>All teachers, <see cref="Teacher"/> among them; none where the soft targets of the traces are all.</summary>
    internal IReadOnlyList<TeacherChoice> ResolveTeachers() =>
        Teachers.Count > 0 ? Teachers
        : Teacher is { } model
            ?
            [
                new TeacherChoice
                {
                    Model = model,
                    Device = TeacherDevice,
                    Dtype = TeacherDtype,
                },
            ]
        : [];

    /// <summary>Teachers that are run, in their order.</summary>
    internal IReadOnlyList<TeacherChoice> RunTeachers => [.. ResolveTeachers().Where(teacher => teacher.Model is not null)];

    /// <summary>Teachers whose soft targets are stored, in their order.</summary>
    internal IReadOnlyList<TeacherChoice> StoredTeachers => [.. Teachers.Where(teacher => teacher.Model is null)];

    /// <summary>Stored soft targets to keep of each token: of those that join a whole distribution all, as that is cut in the
    /// end.</summary>
    internal int? StoredTopK => RunTeachers.Count > 0 && StoredTeachers.Count > 0 ? null : KdTopK;

    /// <summary>True where models teach that change with the student: it itself, or its peers.</summary>
    internal bool IsTaughtAlong => SelfTeacherDecay is not null || Peers.Count > 0;

    /// <summary>True where models teach, by whole distributions.</summary>
    internal bool IsTaughtByModels => RunTeachers.Count > 0 || IsTaughtAlong;

    /// <summary>True where logits of the whole vocabulary are held for the loss.</summary>
    internal bool LooksAtWholeDistributions =>
        IsTaughtByModels
        || EarlyExits is not null
        || KdMissingMass == MissingMass.UniformTail
        || ResolveObjectives().OfTokens.Any(objective => objective.NeedsAllLogits);

    /// <summary>True where the teacher's whole distributions are compared.</summary>
    internal bool IsDense => IsTaughtByModels && KdTopK is null && KdSampling == SoftTargetSampling.None;

    TargetPolicy Policy =>
        new()
        {
            MissingMass = KdMissingMass,
            TopK = IsTaughtByModels ? KdTopK : null, // stored ones are cut as they are read
            Sampling = KdSampling,
            Draws = KdDraws,
            Seed = Seed,
        };

    Objective Tempered(Objective objective) =>
        objective is Divergence { Temperature: null } divergence ? divergence with { Temperature = KdTemperature } : objective;

    /// <summary>Metric by which weights are the best.</summary>
    internal HeldOutMetric ResolveMetric() =>
        MetricForBestModel
        ?? (EvalProblems is not null && EvalTraces is null && EvalFraction == 0 ? HeldOutMetric.Accuracy : HeldOutMetric.Loss);

    internal long ShuffleBufferBytes => (long)ShuffleBufferMb << 20;

    /// <summary>Threads that read and decode traces on this machine.</summary>
    internal int ResolveDataWorkers() =>
        DataloaderNumWorkers > 0 ? DataloaderNumWorkers : Math.Clamp(Environment.ProcessorCount / 4, 1, 16);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Traces.Count == 0 && Problems is null)
        {
            yield return new ValidationResult(
                "is required: the traces to learn from (or problems with worked solutions)",
                [nameof(Traces)]
            );
        }

        if (Student is null == Architecture is null)
        {
            yield return new ValidationResult(
                (Student is null ? "is required: " : "leave one of the two out: ")
                    + "either student, a model directory, or architecture, the config of one from scratch",
                [nameof(Student)]
            );
        }

        if (Architecture?.PictureEncoder is not null && Pictures.Count == 0 && TracePaths().Any())
        {
            yield return new ValidationResult(
                "is required: a student with a picture_encoder looks at pictures of the traces' problems, in the files named here",
                [nameof(Pictures)]
            );
        }

        if (Curriculum is { By: not Difficulty.Length and var by } && (Problems is not null || Traces.Count == 0))
        {
            yield return new ValidationResult(
                $"{NameOf(by)} is of traces, and worked solutions (problems) have none: take length, or leave problems out",
                [nameof(Curriculum)]
            );
        }

        if (InitFrom is not null && (Architecture is null || Tokenizer is not null))
        {
            yield return new ValidationResult("goes with architecture, and with the tokenizer of its own folder", [nameof(InitFrom)]);
        }

        foreach (
            var problem in ValidateTraces().Concat(ValidateAdapters()).Concat(ValidateEvaluation()).Concat(ObjectiveRules.Problems(this))
        )
        {
            yield return problem;
        }

        if (Rehearsal is not null && Traces.Count == 0 && Problems is null)
        {
            yield return new ValidationResult("is beside what is learned now: give traces", [nameof(Rehearsal)]);
        }

        if (Ewc is not null && (Student is null || LoraR is not null))
        {
            yield return new ValidationResult(
                Student is null
                    ? "holds a student to the weights that it begins with; name it with student"
                    : "is of the model's own weights: adapters begin with B = 0, where the Fisher information of A is 0, so that it "
                        + "would hold one factor of their product and leave the other; leave it or lora_r out",
                [nameof(Ewc)]
            );
        }

        if (EvalTraces is not null && EvalFraction > 0)
        {
            yield return new ValidationResult(
                "held-out traces are given by eval_traces already; leave one of the two out",
                [nameof(EvalFraction)]
            );
        }

        if (EvalFraction > 0 && Traces.Count == 0)
        {
            yield return new ValidationResult("holds out of traces, and there are none", [nameof(EvalFraction)]);
        }
    }

    IEnumerable<ValidationResult> ValidateEvaluation()
    {
        var hasTraces = EvalTraces is not null || EvalFraction > 0;
        if (!hasTraces && EvalProblems is null && (LoadBestModelAtEnd || EarlyStoppingPatience > 0))
        {
            yield return new ValidationResult(
                "is required where the best weights or an early stop depend on it: "
                    + "traces to evaluate on (or eval_fraction, such as 0.02, or eval_problems)",
                [nameof(EvalTraces)]
            );
        }
        else if (MetricForBestModel is { } metric)
        {
            var isOfAnswers = metric == HeldOutMetric.Accuracy;
            if (isOfAnswers && EvalProblems is null)
            {
                yield return new ValidationResult(
                    "accuracy is of answers to eval_problems; name a file of problems there",
                    [nameof(MetricForBestModel)]
                );
            }
            else if (!isOfAnswers && !hasTraces)
            {
                yield return new ValidationResult(
                    $"{metric.ToString().ToLowerInvariant()} is of held-out traces; give eval_traces (or eval_fraction)"
                        + (EvalProblems is null ? "" : ", or take accuracy"),
                    [nameof(MetricForBestModel)]
                );
            }
        }

        if (EvalProblems is null && (EvalLimit is not null || EvalMaxTokens is not null))
        {
            yield return new ValidationResult(
                "goes with eval_problems",
                [EvalLimit is not null ? nameof(EvalLimit) : nameof(EvalMaxTokens)]
            );
        }
    }

    IEnumerable<ValidationResult> ValidateTraces()
    {
        if (
            TracePaths()
                .GroupBy(path => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))
                .FirstOrDefault(same => same.Count() > 1) is
            { } twice
        )
        {
            yield return new ValidationResult(
                $"{twice.First()} is listed {twice.Count()} times; give it a larger weight instead",
                [nameof(Traces)]
            );
        }

        if (Traces.Any(set => set.Weight is null) && Traces.FirstOrDefault(set => set.Weight is not null) is { } weighted)
        {
            yield return new ValidationResult(
                $"{weighted.Path} has a weight and {Traces.First(set => set.Weight is null).Path} "
                    + "has none; give every data set one, or none",
                [nameof(Traces)]
            );
        }
    }

    IEnumerable<ValidationResult> ValidateAdapters()
    {
        if (LoraR is null && (UseDora || LoraAlpha is not null || LoraDropout > 0 || LoraTargetModules is not [LoraAdapter.AllLinear]))
        {
            yield return new ValidationResult(
                "is required where another setting of adapters is given: their rank, such as 16",
                [nameof(LoraR)]
            );
        }

        if (LoraR is not null && Architecture is not null && InitFrom is null)
        {
            yield return new ValidationResult(
                "adapters (lora_r) need pretrained weights: give student, or init_from with architecture",
                [nameof(LoraR)]
            );
        }

        if (LoraR is not null && Optim == OptimizerKind.Muon)
        {
            yield return new ValidationResult(
                "muon is for whole matrices of a layer; adapters (lora_r) are trained by adamw",
                [nameof(Optim)]
            );
        }

        if (LoraR is not null && MasterDtype != MasterDtype.Float32)
        {
            yield return new ValidationResult(
                "applies to full fine-tuning; leave it out, the trainable parameters of adapters (lora_r) stay in float32",
                [nameof(MasterDtype)]
            );
        }

        if (QuantizationAware == QuantizationAware.None && QuantizationStart != new OptimizationOptions().QuantizationStart)
        {
            yield return new ValidationResult("goes with quantization_aware", [nameof(QuantizationStart)]);
        }

        if (LoraR is not null && QuantizationAware != QuantizationAware.None)
        {
            yield return new ValidationResult(
                "applies to full fine-tuning; leave it out, or lora_r: adapters are trained apart from the matrices they are merged into",
                [nameof(QuantizationAware)]
            );
        }

        if (LoraR is not null && FrozenParameters.Count > 0)
        {
            yield return new ValidationResult(
                "with lora_r all of the model's own weights are frozen already; leave one of the two out",
                [nameof(FrozenParameters)]
            );
        }

        if (LoraR is not null && LoraTargetModules.Count == 0)
        {
            yield return new ValidationResult($"must name at least one layer, or {LoraAdapter.AllLinear}", [nameof(LoraTargetModules)]);
        }

        if (LoraTargetModules.Count > 1 && LoraTargetModules.Contains(LoraAdapter.AllLinear))
        {
            yield return new ValidationResult(
                $"{LoraAdapter.AllLinear} is all of them: leave out either it or the others",
                [nameof(LoraTargetModules)]
            );
        }

        foreach (var pattern in FrozenParameters.Where(pattern => !FrozenSelection.IsPattern(pattern)))
        {
            yield return new ValidationResult($"\"{pattern}\" is not a regular expression", [nameof(FrozenParameters)]);
        }
    }

    internal static string NameOf(Enum value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());
}
