using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Options;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;

namespace TraceDistill.Training.Distillation;

/// <summary>Trains a student on traces: shards → aligned tokens → packed batches → loss → checkpoint → model directory.</summary>
public static class TrainStage
{
    /// <summary>Where the weights before the first step are kept, as a model directory: the untrained student.</summary>
    public const string InitialDirectory = "initial";

    /// <summary>Folder with a model directory for each peer, by their numbers.</summary>
    public const string PeersDirectory = "peers";

    /// <summary>Folder beside the shards that holds the teacher's tokenizer, where collection could have it.</summary>
    public const string StoredTokenizer = "tokenizer";

    /// <summary>Trains without an evaluation of generated answers.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="directory">The model directory.</param>
    /// <param name="observer">Takes progress and metrics.</param>
    /// <param name="cancellationToken">Stops after a checkpoint.</param>
    /// <exception cref="InvalidInputException">As with all parameters.</exception>
    public static Task<TrainSummary> RunAsync(
        TrainOptions options,
        string directory,
        IRunObserver observer,
        CancellationToken cancellationToken = default
    ) => RunAsync(options, directory, observer, answers: null, published: null, teacherPrompt: null, cancellationToken);

    /// <summary>
    /// Writes a model directory, going on from an interrupted run in it; where this very run is finished there, nothing is left to do.
    /// </summary>
    /// <param name="options">Settings.</param>
    /// <param name="directory">The model directory.</param>
    /// <param name="observer">Takes progress and metrics.</param>
    /// <param name="answers">Evaluates answers to <see cref="TrainOptions.EvalProblems"/>; null where there are none.</param>
    /// <param name="published">The folder's name once all is done; null where it keeps its own.</param>
    /// <param name="teacherPrompt">Writes <see cref="TrainOptions.TeacherPrompt"/> for a problem; null where there is none.</param>
    /// <param name="cancellationToken">Stops after a checkpoint.</param>
    /// <exception cref="InvalidInputException">Traces, student or tokenizer do not fit together, or the folder holds another run's
    /// model.</exception>
    public static async Task<TrainSummary> RunAsync(
        TrainOptions options,
        string directory,
        IRunObserver observer,
        IAnswerEvaluation? answers,
        string? published,
        Func<Problem, IReadOnlyList<ChatMessage>>? teacherPrompt,
        CancellationToken cancellationToken = default
    )
    {
        if (options.TeacherPrompt is null != teacherPrompt is null)
        {
            throw new ArgumentException("teacher_prompt and what writes it come together", nameof(teacherPrompt));
        }

        if (options.EvalProblems is null != answers is null)
        {
            throw new ArgumentException("eval_problems and what evaluates them come together", nameof(answers));
        }

        if (ShardManifest.Load(directory) is not null)
        {
            throw new InvalidInputException($"{directory}: holds trace shards; name another folder with --out");
        }

        if (options.InitFrom is { } larger)
        {
            options = options with
            {
                Architecture = StudentInitialization.Complete(options.Architecture!, ModelConfiguration.Load(larger), larger),
            };
        }

        var device = options.Device.Resolve();
        var source = options.Student ?? options.InitFrom ?? TokenizerDirectory(options);
        var tokenizer = (options.Student ?? options.InitFrom) is { } model ? ModelDirectory.LoadTokenizer(model) : Tokenizer.Load(source);
        var adopted = TeacherTokenizer.TemplateFor(options.FirstTraces, options.TeacherTokenizer, tokenizer);
        var planned = ShapeOf(options, tokenizer);
        ShapeRules.Ensure(options, planned, TeacherShapeOf(options));
        var encoder = planned.Pictures;
        var pictures = encoder is null ? null : await TrainingPictures.ReadAsync(options, encoder, cancellationToken);
        var template = ChatTemplate.Load(source, templateDirectory: adopted);
        var chat = new ChatSequence(tokenizer, template, pictures);
        var positions = options.Student is null ? options.Architecture!.MaxPositionEmbeddings : planned.MaxPositionEmbeddings;
        var maxLength = Math.Min(options.MaxLength ?? int.MaxValue, positions ?? int.MaxValue);
        var prompts = await TeacherPrompts.ReadAsync(options, teacherPrompt, new ChatSequence(tokenizer, template), cancellationToken);
        using var data = await TrainingSet.ReadAsync(options, tokenizer, chat, maxLength, prompts, cancellationToken);
        options = options with { MaxSteps = options.StepsFor(data.Plan(options with { Curriculum = null })) };
        var trained = Begin(options, tokenizer, positions ?? PositionsFor(options, data));
        using var parameters = trained.Model;
        using var adapter = trained.Adapter;
        using var teachers = TrainingTeachers.Load(options, tokenizer, trained);
        EnsureComparable(options, data);
        // A prompt of the teachers' own is text, whatever the student looks at.
        var taughtBy = teachers.Weights.Select(teacher => (teacher.Configuration, "teacher"));
        TrainingPictures.EnsureSame(encoder, options.TeacherPrompt is null ? taughtBy : []);
        var shape = parameters.Configuration;
        using var own = options.SelfTeacherDecay is null ? null : new TeacherModel(((ModelParameters)parameters).Copy(), isOwned: true);
        using var peers = TrainingPeers.Begin(options, tokenizer, data.LongestOfTeacher, choice =>
            Begin(choice, tokenizer, positions ?? PositionsFor(options, data))
        );
        TrainingPictures.EnsureSame(encoder, peers.Models.Select(peer => (peer.Configuration, "peers")));
        var objectives = options.ResolveObjectives();
        using var auxiliary = AuxiliaryWeights.Of(
            objectives.Objectives,
            shape,
            (teachers.Single ?? own)?.Weights.Configuration,
            options.Seed
        );
        if (shape.Remark is { } remark)
        {
            observer.Message(remark);
        }

        var (heldOut, heldOutDigest) = options.EvalTraces is { } evalTraces
            ? await TrainingSet.ReadHeldOutAsync(options, evalTraces, tokenizer, chat, maxLength, prompts, cancellationToken)
            : (data.HeldOut, []);
        var longestOfTeacher = heldOut.Select(sequence => sequence.TeacherLength).Append(data.LongestOfTeacher).Max();
        teachers.EnsureFit(longestOfTeacher);
        own?.EnsureFits(longestOfTeacher, "self_teacher_decay: the student");
        var (old, oldDigest) = options.Ewc is { } ewc
            ? await TrainingSet.SampleAsync(options, ewc, tokenizer, chat, maxLength, cancellationToken)
            : ([], []);
        if (options.EvalFraction > 0 && heldOut.Count == 0)
        {
            throw new InvalidInputException($"{options.DataName}: eval_fraction {options.EvalFraction} holds out no trace; raise it");
        }

        if (
            options.ResolveMetric() == HeldOutMetric.Kl
            && options.RunTeachers.Count == 0
            && heldOut.Count > 0
            && !heldOut.Any(sequence => sequence.HasSoftTargets)
        )
        {
            throw new InvalidInputException(
                "metric_for_best_model: kl is of soft targets, and the held-out traces have none; take loss, ce or top1, "
                    + "or accuracy of answers to eval_problems"
            );
        }

        var state = new TrainingState(
            directory,
            Fingerprint(
                options,
                tokenizer,
                [parameters, .. teachers.Weights, .. peers.Models],
                [data.Digest, heldOutDigest, answers?.Digest ?? [], oldDigest]
            )
        );
        if (state.Claim() is not { } end)
        {
            var part = trained.Count == trained.Total ? "" : $"{trained.Count:N0} of ";
            observer.Message(
                $"training {part}{trained.Total:N0} parameters on {Counted.Of(data.Count, "sequence")}"
                    + $" (left out: {data.Unfinished} unfinished, {data.NotCorrect} not correct, {data.TooLong} too long)"
                    + (heldOut.Count > 0 ? $", evaluating on {Counted.Of(heldOut.Count, "held-out sequence")}" : "")
                    + (answers is not null ? $", answering {Counted.Of(answers.Count, "problem")} every {options.EvalSteps:N0} steps" : "")
            );
            if (data.Survival is { } left)
            {
                observer.Message(
                    FormattableString.Invariant(
                        $"soft-target coverage after alignment: {left.Positions:P1} of {left.Tokens:N0} trained tokens, "
                    ) + FormattableString.Invariant($"with {left.Mass:P1} of the probability reported for them")
                );
            }

            if (TrainingTeachers.Describe(options) is { } several)
            {
                observer.Message(several);
            }

            if (options.Blocks(shape) is { } blocks)
            {
                observer.Message($"training for {blocks}");
                if (options.RoundsBlocks(device))
                {
                    observer.Message(OptimizationOptions.BlocksAreRounded);
                }
            }

            if (options.Curriculum is { } curriculum)
            {
                observer.Message(
                    FormattableString.Invariant($"curriculum: the easiest {curriculum.ShareAt(0, options.MaxSteps):P1} of the sequences ")
                        + FormattableString.Invariant($"at first, all from step {Math.Ceiling(curriculum.Until * options.MaxSteps):N0} on")
                );
            }

            foreach (var line in data.Remarks)
            {
                observer.Message(line);
            }

            if (encoder is not null)
            {
                observer.Message($"the student looks at {encoder.Text}");
            }
            else if (options.Pictures.Count > 0)
            {
                observer.Message("pictures: the student has no picture_encoder, and reads the text; they are not looked at");
            }

            if (adopted is not null)
            {
                observer.Message($"{source}: has no chat template; the student takes the teacher's, which is written beside it");
            }

            if (!chat.IsEndKnown)
            {
                observer.Message(
                    $"the chat template ends an answer with {tokenizer.Decode([chat.EndOfSequence])}, which the tokenizer's files do not "
                        + $"name as an end: the student learns it, and its {GenerationConfig.FileName} names it"
                );
            }

            var answering = answers is null ? 0 : sizeof(float) * parameters.Count;
            var taught =
                teachers.BytesOn(device, options.ComputeDtype)
                + (own?.BytesOn(device, options.ComputeDtype) ?? 0)
                + peers.BytesOf(options, device, data.LongestFitting)
                + TrainingMemory.TeacherPass(
                    options,
                    [.. teachers.Weights.Select(model => model.Configuration), .. options.IsTaughtAlong ? new[] { shape } : []],
                    trained.Count,
                    data.LongestFitting,
                    longestOfTeacher,
                    device
                );
            TrainingMemory.Ensure(options, trained, device, data.LongestFitting, observer, data.BytesAhead + answering, taught);
            Write(Path.Combine(directory, InitialDirectory));
            if (answers is not null)
            {
                await answers.EnsureFitAsync(Path.Combine(directory, InitialDirectory), cancellationToken);
            }

            end = await Task.Run(() => TrainingMemory.Advised(options, device, data.LongestFitting, Train), CancellationToken.None);
            WriteModel(directory);
            foreach (var (number, peer) in peers.Models.Index())
            {
                WritePeer(Path.Combine(directory, PeersDirectory, FormattableString.Invariant($"{number + 1}")), peer);
            }

            state.Finish(end);
        }

        return new TrainSummary
        {
            Parameters = parameters.Count,
            TrainedParameters = trained.Count,
            Sequences = data.Count,
            Unfinished = data.Unfinished,
            NotCorrect = data.NotCorrect,
            TooLong = data.TooLong,
            Steps = end.Steps,
            Loss = end.Loss,
            AlignedTokens = data.Survival?.Positions,
            AlignedMass = data.Survival?.Mass,
        };

        FinishedTraining Train()
        {
            trained.Weights.HoldAs(options.MasterDtype.ToScalarType());
            trained.MoveTo(device);
            auxiliary.MoveTo(device);
            own?.MoveTo(device, options.ComputeDtype);
            peers.MoveTo(device, options.MasterDtype);
            teachers.MoveTo(device, options.ComputeDtype);
            using var penalty = options.Ewc is null ? null : new ElasticPenalty(trained, options.Ewc.Weight);
            if (penalty is not null)
            {
                state.Once("fisher", () => Measure(penalty), penalty.Fisher.Visit);
            }

            var batches = new BatchStream(data.Plan(options), options.ResolveDataWorkers());
            using var self = own is null ? null : new SelfTeacher(trained, own, options.SelfTeacherDecay!.Value);
            using var group = peers.Trained.Count == 0 ? null : new PeerGroup(options, trained, peers.Trained);
            using var trainer = new Trainer(
                options,
                trained,
                observer,
                PlanOf(options, shape, heldOut, answers, teachers),
                WriteModel,
                teachers.Single ?? own ?? group?.Teacher,
                teachers.Panel ?? group?.Panel,
                auxiliary,
                penalty
            )
            {
                Self = self,
                Peers = group,
            };
            return trainer.Run(batches, objectives, state, cancellationToken);
        }

        void Measure(ElasticPenalty penalty)
        {
            var dtype = options.ComputeDtype.On(device);
            using var workers = new GradientWorkers(
                trained,
                options.ResolveWorkers(),
                options.MicroBatchTokens,
                dtype,
                options.GradientCheckpointing
            );
            FisherInformation.Estimate(
                penalty.Fisher,
                workers,
                old,
                options.Ewc!.Fisher,
                options.Seed,
                done => observer.Progress("fisher", done, old.Count, "sequences"),
                cancellationToken
            );
            observer.Message($"ewc: Fisher information measured on {Counted.Of(old.Count, "sequence")} of what was learned before");
        }

        void Write(string folder, PeftAdapter? merged = null, BlockPlan? blocks = null, IReadOnlyList<int>? exits = null)
        {
            WriteTokenizer(folder);
            data.Task?.Save(folder);
            // Weights of 16 bits have no room for small changes: rounding would take a good part of them.
            var dtype = merged is null ? (TensorDtype?)null : TensorDtype.Float32;
            ModelDirectory.Save(folder, parameters, dtype, adapter: merged, blocks: blocks, exits: exits);
        }

        void WritePeer(string folder, ModelParameters peer)
        {
            WriteTokenizer(folder);
            data.Task?.Save(folder);
            ModelDirectory.Save(folder, peer, exits: []);
        }

        void WriteModel(string model)
        {
            using var merged = adapter is null ? null : SaveAdapter(adapter, Path.Combine(model, AdapterFiles.Folder));
            // Exits that were taught before, and are not taught now, no longer follow the last layer.
            Write(model, merged, options.Blocks(shape), options.EarlyExits?.Layers ?? []);
        }

        PeftAdapter SaveAdapter(LoraAdapter adapter, string folder)
        {
            WriteTokenizer(folder);
            AdapterFiles.Save(folder, adapter, options.Student ?? Path.Combine(published ?? directory, InitialDirectory));
            return PeftAdapter.Open(folder, ModelParameters.Shapes(shape));
        }

        void WriteTokenizer(string folder)
        {
            ModelDirectory.CopyTokenizer(source, folder);
            if (adopted is not null)
            {
                AtomicFile.WriteAllText(Path.Combine(folder, ChatTemplate.FileName), chat.TemplateSource);
            }

            if (!chat.IsEndKnown)
            {
                GenerationConfig.AddEnd(folder, chat.EndOfSequence, tokenizer.EndOfSequenceIds);
            }
        }
    }

    /// <summary>Refuses objectives that compare sequences of a micro-batch where none can hold as many as it takes.</summary>
    static void EnsureComparable(TrainOptions options, TrainingSet data)
    {
        foreach (
            var objective in options
                .ResolveObjectives()
                .Objectives.OfType<StateObjective>()
                .Where(objective => objective.LeastSequences > 1 && objective.Weight.Range.High > 0)
        )
        {
            long[] shortest = [.. data.ShortestLengths(objective.LeastSequences)];
            var room = Math.Min(options.MicroBatchTokens, options.UpdateTokens);
            if (shortest.Length == objective.LeastSequences && shortest.Sum() > room)
            {
                var setting = options.MicroBatchTokens <= options.UpdateTokens ? "micro_batch_tokens" : "batch_tokens";
                throw new InvalidInputException(
                    $"objectives: {objective.Name} compares {objective.LeastSequences} sequences or more of a micro-batch, and the "
                        + $"shortest {objective.LeastSequences} have {shortest.Sum()} tokens together, more than {setting} {room}: raise "
                        + $"{setting} to several times that"
                );
            }
        }
    }

    static EvaluationPlan? PlanOf(
        TrainOptions options,
        ModelConfiguration shape,
        IReadOnlyList<TraceTokens> heldOut,
        IAnswerEvaluation? answers,
        TrainingTeachers teachers
    ) =>
        heldOut.Count == 0 && answers is null
            ? null
            : new EvaluationPlan(
                heldOut.Count == 0
                    ? null
                    : new HeldOutTraces(
                        heldOut,
                        options.MicroBatchTokens,
                        options.ResolveWorkers(),
                        options.Blocks(shape),
                        teachers.Single,
                        teachers.Panel
                    ),
                answers,
                options.EvalSteps,
                options.ResolveMetric(),
                options.LoadBestModelAtEnd,
                options.EarlyStoppingPatience,
                options.EarlyStoppingThreshold
            );

    static string TokenizerDirectory(TrainOptions options)
    {
        if (options.Tokenizer is { } given)
        {
            return given;
        }

        return options.FirstTraces is { } traces && TeacherTokenizer.StoredWith(traces) is { } stored
            ? stored
            : throw new InvalidInputException(
                "tokenizer: a student from scratch needs a vocabulary, and none is stored with the traces; "
                    + "name the teacher's model directory"
            );
    }

    /// <summary>The student's shape before anything long is read; of one from scratch without its positions where the data tells.</summary>
    /// <exception cref="InvalidInputException">There is no such student, or no such shape.</exception>
    static ModelConfiguration ShapeOf(TrainOptions options, Tokenizer tokenizer) =>
        options.Student is { } student
            ? ModelConfiguration.Load(student)
            : options.Architecture!.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds);

    /// <summary>Shape of the one teacher that is a model; null where there is none.</summary>
    static ModelConfiguration? TeacherShapeOf(TrainOptions options) =>
        options is { RunTeachers: [{ Model: { } teacher }], Teachers.Count: <= 1 } ? ModelConfiguration.Load(teacher) : null;

    /// <summary>Room for the longest sequence, and for an answer as long as the teacher's may be behind the longest prompt.</summary>
    static int PositionsFor(TrainOptions options, TrainingSet data)
    {
        const int Multiple = 64;
        var read = options.IsTaughtAlong ? Math.Max(data.Longest, data.LongestOfTeacher) : data.Longest;
        var needed = Math.Max((long)read, (long)data.LongestPrompt + (data.Task?.MaxTokens ?? 0));
        return (int)Math.Min(int.MaxValue, Math.Max(ModelArchitecture.LeastPositions, (needed + Multiple - 1) / Multiple * Multiple));
    }

    /// <summary>The student before the first step, and what of it is trained.</summary>
    static TrainedWeights Begin(TrainOptions options, Tokenizer tokenizer, int positions)
    {
        if (options.Adapters is { } settings)
        {
            var frozen = options.Student is { } student
                ? StudentInitialization.Finite(ModelDirectory.LoadFrozen(student), student)
                : InitialParameters(options, tokenizer, positions);
            return TrainedWeights.Of(new LoraAdapter(frozen, settings, options.Seed));
        }

        var parameters = InitialParameters(options, tokenizer, positions);
        return options.FrozenParameters.Count > 0
            ? TrainedWeights.AllBut(parameters, FrozenSelection.Names(options.FrozenParameters, [.. parameters.Names]))
            : TrainedWeights.All(parameters);
    }

    static ModelParameters InitialParameters(TrainOptions options, Tokenizer tokenizer, int positions)
    {
        if (options.Student is { } student)
        {
            return StudentInitialization.Finite(ModelDirectory.Load(student), student);
        }

        var shape = options.Architecture!.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds, positions);
        if (options.InitFrom is { } larger)
        {
            using var taken = StudentInitialization.Finite(ModelDirectory.Load(larger), larger);
            var cut = new ModelParameters(StudentInitialization.Adopt(shape, taken.Configuration));
            if (shape.Pictures is not null)
            {
                cut.Initialize(options.Seed); // the encoder; all else is copied
            }

            StudentInitialization.Copy(cut, taken, larger);
            return cut;
        }

        var parameters = new ModelParameters(shape);
        parameters.Initialize(options.Seed);
        return parameters;
    }

    /// <summary>The settings that decide what comes out of a run; those that do not, and places of files, have one value.</summary>
    internal static TrainOptions Deciding(TrainOptions options) =>
        (TrainOptions)options.Deciding() with
        {
            Traces = [.. options.Traces.Select(set => set with { Path = "" })],
            KdAlpha = options.Objectives.Count > 0 ? null : options.KdAlpha ?? TrainOptions.DefaultAlpha,
            Problems = null,
            Pictures = [],
            Student = null,
            InitFrom = null,
            Tokenizer = null,
            TeacherTokenizer = null,
            Teacher = null,
            TeacherDevice = DeviceChoice.Auto,
            TeacherPrompt = null,
            TeacherProblems = [],
            Teachers =
            [
                .. options.Teachers.Select(teacher =>
                    teacher with
                    {
                        Model = teacher.Model is null ? null : "",
                        Scores = [.. teacher.Scores.Select(_ => "")],
                        Device = DeviceChoice.Auto,
                    }
                ),
            ],
            Peers = [.. options.Peers.Select(peer => peer with { Student = null })],
            DataloaderNumWorkers = 0,
            EvalTraces = null,
            EvalProblems = null,
            Rehearsal = options.Rehearsal is { } rehearsal ? rehearsal with { Traces = [] } : null,
            Ewc = options.Ewc is { } ewc ? ewc with { Traces = [] } : null,
        };

    /// <summary>
    /// Everything that decides a run: the settings, the first weights and the very tokens and targets. Where files lie does not, nor what
    /// their fields are called or is computed twice.
    /// </summary>
    static string Fingerprint(
        TrainOptions options,
        Tokenizer tokenizer,
        IReadOnlyList<IDecoderWeights> models,
        IReadOnlyList<byte[]> digests
    )
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(Deciding(options)));
        hash.AppendData(Encoding.UTF8.GetBytes(tokenizer.Hash));
        foreach (var model in models)
        {
            WeightsDigest.Append(hash, model);
        }

        foreach (var digest in digests)
        {
            hash.AppendData(digest);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
