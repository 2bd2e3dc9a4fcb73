using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Shards;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
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
        var source = options.Student ?? options.InitFrom ?? StudentBeginning.TokenizerDirectory(options);
        var tokenizer = (options.Student ?? options.InitFrom) is { } model ? ModelDirectory.LoadTokenizer(model) : Tokenizer.Load(source);
        var adopted = TeacherTokenizer.TemplateFor(options.FirstTraces, options.TeacherTokenizer, tokenizer);
        var planned = StudentBeginning.ShapeOf(options, tokenizer);
        ShapeRules.Ensure(options, planned, StudentBeginning.TeacherShapeOf(options));
        var encoder = planned.Pictures;
        var pictures = encoder is null ? null : await TrainingPictures.ReadAsync(options, encoder, cancellationToken);
        var template = ChatTemplate.Load(source, templateDirectory: adopted);
        var chat = new ChatSequence(tokenizer, template, pictures);
        var positions = options.Student is null ? options.Architecture!.MaxPositionEmbeddings : planned.MaxPositionEmbeddings;
        var maxLength = Math.Min(options.MaxLength ?? int.MaxValue, positions ?? int.MaxValue);
        var prompts = await TeacherPrompts.ReadAsync(options, teacherPrompt, new ChatSequence(tokenizer, template), cancellationToken);
        using var data = await TrainingSet.ReadAsync(options, tokenizer, chat, maxLength, prompts, cancellationToken);
        options = options with { MaxSteps = options.StepsFor(data.Plan(options with { Curriculum = null })) };
        var trained = StudentBeginning.Begin(options, tokenizer, positions ?? StudentBeginning.PositionsFor(options, data));
        using var parameters = trained.Model;
        using var adapter = trained.Adapter;
        using var teachers = TrainingTeachers.Load(options, tokenizer, trained);
        EnsureComparable(options, data);
        // A prompt of the teachers' own is text, whatever the student looks at.
        var toldText = options.TeacherPrompt is not null;
        TrainingPictures.EnsureSame(toldText ? null : encoder, teachers.Weights.Select(teacher => (teacher.Configuration, "teacher")));
        if (toldText && options.IsTaughtAlong)
        {
            TrainingPictures.EnsureSame(encoder: null, [(planned, "teacher_prompt")]);
        }

        var shape = parameters.Configuration;
        using var own =
            options.SelfTeacherDecay is null ? null
            : adapter is null ? new TeacherModel(((ModelParameters)parameters).Copy(), isOwned: true)
            : new TeacherModel(adapter.Copy());
        using var peers = TrainingPeers.Begin(options, tokenizer, data.LongestOfTeacher, choice =>
            StudentBeginning.Begin(choice, tokenizer, positions ?? StudentBeginning.PositionsFor(options, data))
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
        own?.EnsureFits(data.LongestOfTeacher, "self_teacher_decay: the student");
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

        var writer = new StudentWriter(trained, source, tokenizer, chat, data.Task)
        {
            WritesTemplate = adopted is not null,
            Base = options.Student ?? Path.Combine(published ?? directory, InitialDirectory),
            Blocks = options.Blocks(shape),
            Exits = options.EarlyExits?.Layers ?? [],
        };
        var state = new TrainingState(
            directory,
            TrainingIdentity.Of(
                options,
                tokenizer,
                [parameters, .. teachers.Weights, .. peers.Models],
                [data.Digest, heldOutDigest, answers?.Digest ?? [], oldDigest]
            )
        );
        if (state.Claim() is not { } end)
        {
            foreach (var line in TrainingPreface.Of(options, trained, data, heldOut.Count, answers?.Count))
            {
                observer.Message(line);
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
            writer.WriteInitial(Path.Combine(directory, InitialDirectory));
            if (answers is not null)
            {
                await answers.EnsureFitAsync(Path.Combine(directory, InitialDirectory), cancellationToken);
            }

            end = await Task.Run(() => TrainingMemory.Advised(options, device, data.LongestFitting, Train), CancellationToken.None);
            writer.WriteModel(directory);
            foreach (var (number, peer) in peers.Models.Index())
            {
                writer.WritePeer(Path.Combine(directory, PeersDirectory, FormattableString.Invariant($"{number + 1}")), peer);
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
                writer.WriteModel,
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
}
