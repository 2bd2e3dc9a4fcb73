using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Determinism;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;

namespace TraceDistill.Training.Classification;

/// <summary>Trains classifiers: texts and labels → tokens → a teacher's labels → batches of all tasks → model directories.</summary>
public static class ClassifyStage
{
    /// <summary>
    /// Writes model directories, going on from an interrupted run; where this very run is finished there, nothing is left to do.
    /// </summary>
    /// <param name="options">Settings.</param>
    /// <param name="directory">The model directory of one task; of several, the folder with one of each.</param>
    /// <param name="observer">Takes progress and metrics.</param>
    /// <param name="cancellationToken">Stops after a checkpoint.</param>
    /// <exception cref="InvalidInputException">Texts, labels, student or teachers do not fit together, or the folder holds another run's
    /// models.</exception>
    public static async Task<ClassifySummary> RunAsync(
        ClassifyOptions options,
        string directory,
        IRunObserver observer,
        CancellationToken cancellationToken = default
    )
    {
        var device = options.Device.Resolve();
        var source = options.Student ?? options.Tokenizer!;
        var tokenizer = options.Student is null ? Tokenizer.Load(source) : ModelDirectory.LoadTokenizer(source);
        using var first = Begin(options, tokenizer);
        if (options.SharedLayers > first.Configuration.NumHiddenLayers)
        {
            throw new InvalidInputException($"shared_layers: {options.SharedLayers} of {first.Configuration.NumHiddenLayers} layers");
        }

        using var teachers = new TeacherSet(options);
        var tasks = await ReadAsync(options, tokenizer, first.Configuration, teachers, cancellationToken);
        var evaluation = EvaluationOf(options, tasks);
        using var models = Build(options, tasks, first, tokenizer);
        first.Dispose(); // its weights are copied
        var trained = TrainedWeights.All(models);
        var plan = new BatchPlan([.. tasks.Select(task => SetOf(task, options))], options.UpdateTokens, options.Seed);
        options = options with { MaxSteps = options.StepsFor(plan) };
        string[] folders = [.. options.Folders(directory)];
        var state = new TrainingState(directory, Fingerprint(options, tokenizer, models, teachers, tasks), folders);
        var longest = tasks.Max(task => task.Longest);
        if (state.Claim() is not { } end)
        {
            observer.Message(
                $"training {Counted.Of(tasks.Count, "classifier")} of {models.Count:N0} parameters"
                    + (tasks.Count > 1 ? $", which share {models.Shared} of {first.Configuration.NumHiddenLayers} layers" : "")
            );
            foreach (var task in tasks)
            {
                observer.Message(task.Describe());
            }

            if (
                first.Configuration.Head is { } head
                && !models.Models.Any(model => model.Configuration.Head!.Labels.SequenceEqual(head.Labels))
            )
            {
                observer.Message($"{source}: its head is of other labels, and is left out");
            }

            TrainingMemory.Ensure(options, trained, device, longest, observer);
            foreach (var task in tasks.Where(task => task.Task.Teacher is not null))
            {
                state.Once($"teacher-{task.Name}", () => Teach(task, task.Train, task.HeldOut), visit => TaskTeacher.Visit(task, visit));
            }

            teachers.Dispose(); // all is said
            end = await Task.Run(() => TrainingMemory.Advised(options, device, longest, Train), CancellationToken.None);
            WriteModels(directory);
            state.Finish(end);
        }
        else
        {
            // What teachers say of held-out texts is measured against; of the others nothing is asked any more.
            foreach (var task in tasks.Where(task => task.Task.Teacher is not null && task.HeldOut.Count > 0))
            {
                Teach(task, task.HeldOut);
            }
        }

        return Summarize(options, tasks, folders, models.Count, end, cancellationToken);

        // A pass each, so that a text is read with the same others by whoever asks for its part alone, to the same bits.
        void Teach(TaskData task, params IReadOnlyList<TaskData.Line>[] parts)
        {
            foreach (var lines in parts.Where(lines => lines.Count > 0))
            {
                teachers
                    .Of(task.Name)!
                    .Teach(task, lines, tokenizer, options, options.MaxLength is null ? null : int.MaxValue, cancellationToken);
            }
        }

        FinishedTraining Train()
        {
            models.HoldAs(options.MasterDtype.ToScalarType());
            trained.MoveTo(device);
            using var trainer = new Trainer(options, trained, observer, evaluation, WriteModels)
            {
                Tasks = new TaskBalance(
                    [.. tasks.Select(task => (task.Name, task.Task.Weight))],
                    options.TaskWeights == TaskWeights.Uncertainty ? options.UncertaintyLearningRate : null
                )
                {
                    Temperature = options.KdTemperature,
                    Smoothing = options.LabelSmoothing,
                },
            };
            var objectives = ObjectivePlan.Classic(teachers.Count > 0 ? options.KdAlpha : Schedule.Constant(0), options.KdTemperature);
            return trainer.Run(new BatchStream(plan), objectives, state, cancellationToken);
        }

        void WriteModels(string folder)
        {
            foreach (var (place, model) in options.Folders(folder).Zip(models.Models))
            {
                ModelDirectory.CopyTokenizer(source, place);
                ModelDirectory.Save(place, model);
            }
        }
    }

    /// <summary>The model before it has heads.</summary>
    static ModelParameters Begin(ClassifyOptions options, Tokenizer tokenizer)
    {
        if (options.Student is { } student)
        {
            return StudentInitialization.Finite(ModelDirectory.LoadAny(student), student);
        }

        var parameters = new ModelParameters(options.Architecture!.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds));
        parameters.Initialize(options.Seed);
        return parameters;
    }

    static async Task<List<TaskData>> ReadAsync(
        ClassifyOptions options,
        Tokenizer tokenizer,
        ModelConfiguration student,
        TeacherSet teachers,
        CancellationToken cancellationToken
    )
    {
        var tasks = new List<TaskData>();
        foreach (var (number, (name, task)) in options.Tasks.Index())
        {
            tasks.Add(
                await TaskData.ReadAsync(
                    number,
                    name,
                    task,
                    new LabelEncoder(tokenizer, task.Kind, student.MaxPositionEmbeddings, options.MaxLength),
                    options.EvalFraction,
                    student.Head is { } head && head.Kind == task.Kind ? head.Labels : null,
                    teachers.Of(name)?.Labels,
                    cancellationToken
                )
            );
        }

        return tasks;
    }

    /// <summary>The tasks' models: their layers are from one model, and heads too where labels are the same.</summary>
    static TaskParameters Build(ClassifyOptions options, List<TaskData> tasks, ModelParameters first, Tokenizer tokenizer)
    {
        // Texts are read to their end, and by no encoder of pictures.
        var shape = first.Configuration with { Pictures = null, EarlyExitLayers = [] };
        var models = new TaskParameters(
            [
                .. tasks.Select(task =>
                    (
                        task.Name,
                        shape with
                        {
                            Head = new ClassificationHead(task.Task.Kind, task.Labels) { PadTokenId = tokenizer.PaddingId },
                        }
                    )
                ),
            ],
            options.SharedLayers ?? shape.NumHiddenLayers
        );
        foreach (var (number, model) in models.Models.Index())
        {
            var head = model.Configuration.Head!;
            var keepsHead = shape.Head is { } own && own.Kind == head.Kind && own.Labels.SequenceEqual(head.Labels);
            model.InitializeHead(HeadSeed(options.Seed, tasks[number].Name));
            foreach (var name in model.Names.Where(name => keepsHead || !name.StartsWith("score.", StringComparison.Ordinal)))
            {
                first.Values(name).CopyTo(model.Values(name));
            }
        }

        return models;
    }

    /// <summary>By the task's name: it begins alike beside any others, and apart from the weights that the seed itself draws.</summary>
    static long HeadSeed(long seed, string task) =>
        (long)(new SplitMix64((ulong)seed ^ XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(task))).Next() >> 1);

    static SequenceSet SetOf(TaskData task, ClassifyOptions options)
    {
        var set = SequenceSet.Of([.. task.Train.Select(line => line.Sequence)]);
        return set with { Weight = task.Task.Share ?? Math.Pow(set.Tokens, 1 / options.SamplingTemperature) };
    }

    /// <exception cref="InvalidInputException">The metric is accuracy, and no held-out text has a label.</exception>
    static EvaluationPlan? EvaluationOf(ClassifyOptions options, IReadOnlyList<TaskData> tasks)
    {
        if (tasks.All(task => task.HeldOut.Count == 0))
        {
            return null;
        }

        if (
            options.MetricForBestModel == HeldOutMetric.Accuracy
            && !tasks.SelectMany(task => task.HeldOut).Any(line => line.Sequence.Labels!.Given.Length > 0)
        )
        {
            throw new InvalidInputException(
                "metric_for_best_model: accuracy is of labels, and no held-out text has one; take loss, which then is KL to the teacher"
            );
        }

        return new EvaluationPlan(
            Traces: null,
            Answers: null,
            options.EvalSteps,
            options.MetricForBestModel,
            options.LoadBestModelAtEnd,
            options.EarlyStoppingPatience,
            options.EarlyStoppingThreshold
        )
        {
            Tasks = new HeldOutTasks(
                [
                    .. tasks.Select(task =>
                        (task.Name, (IReadOnlyList<Alignment.TraceTokens>)[.. task.HeldOut.Select(line => line.Sequence)])
                    ),
                ],
                options.MicroBatchTokens,
                options.ResolveWorkers()
            ),
        };
    }

    /// <summary>Of the written models: what was trained and is finished is measured alike.</summary>
    static ClassifySummary Summarize(
        ClassifyOptions options,
        IReadOnlyList<TaskData> tasks,
        IReadOnlyList<string> folders,
        long parameters,
        FinishedTraining end,
        CancellationToken cancellationToken
    )
    {
        return new ClassifySummary
        {
            Parameters = parameters,
            Steps = end.Steps,
            Loss = end.Loss,
            Tasks = new OrderedDictionary<string, TaskSummary>(
                tasks.Zip(folders, (task, folder) => KeyValuePair.Create(task.Name, Of(task, folder)))
            ),
        };

        TaskSummary Of(TaskData task, string folder)
        {
            using var model = ModelDirectory.LoadAny(folder);
            model.MoveTo(options.Device.Resolve());
            return new TaskSummary(
                model.Count,
                task.Labels.Count,
                task.Train.Count,
                task.Train.Count(line => line.Sequence.Labels!.Given.Length == 0),
                task.HeldOut.Count == 0
                    ? null
                    : HeldOutTasks.Score(
                        model,
                        [.. task.HeldOut.Select(line => line.Sequence)],
                        options.MicroBatchTokens,
                        options.ResolveWorkers(),
                        cancellationToken
                    )
            );
        }
    }

    /// <summary>
    /// Everything that decides a run: the settings, the first weights, the teachers' and the very tokens and labels. Where files lie does
    /// not, nor what is computed twice.
    /// </summary>
    static string Fingerprint(
        ClassifyOptions options,
        Tokenizer tokenizer,
        TaskParameters models,
        TeacherSet teachers,
        IReadOnlyList<TaskData> tasks
    )
    {
        var deciding = (ClassifyOptions)options.Deciding() with
        {
            Student = null,
            Tokenizer = null,
            Tasks = options.Tasks.ToDictionary(
                task => task.Key,
                task =>
                    task.Value with
                    {
                        File = "",
                        EvalFile = null,
                        Text = null,
                        Label = null,
                        Labels = [],
                        Teacher = task.Value.Teacher is null ? null : "",
                    }
            ),
        };
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(deciding));
        hash.AppendData(Encoding.UTF8.GetBytes(tokenizer.Hash));
        WeightsDigest.Append(hash, models);
        foreach (var task in tasks)
        {
            hash.AppendData(task.Digest());
            if (teachers.Of(task.Name) is { } teacher)
            {
                WeightsDigest.Append(hash, teacher.Weights);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The teachers of all tasks, while they are needed.</summary>
    sealed class TeacherSet : IDisposable
    {
        readonly Dictionary<string, TaskTeacher> _teachers = [];

        public TeacherSet(ClassifyOptions options)
        {
            foreach (var (name, task) in options.Tasks.Where(task => task.Value.Teacher is not null))
            {
                _teachers[name] = TaskTeacher.Load(name, task.Teacher!, task.Kind);
            }
        }

        public int Count => _teachers.Count;

        /// <returns>Null where the task has none.</returns>
        public TaskTeacher? Of(string task) => _teachers.GetValueOrDefault(task);

        public void Dispose()
        {
            foreach (var teacher in _teachers.Values)
            {
                teacher.Dispose();
            }
        }
    }
}
