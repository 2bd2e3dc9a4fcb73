using System.Runtime.CompilerServices;
using TraceDistill.Cli.Evaluation;
using TraceDistill.Cli.Stages;
using TraceDistill.Cli.Synthesis;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Inference;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Native;
using TraceDistill.Models.Weights;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training;
using TraceDistill.Training.Classification;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Cli.Commands;

/// <summary>A student from traces.</summary>
sealed class TrainVerb : Verb<TrainOptions>
{
    public override string Name => "train";

    public override string Description => "Train a student on traces: soft targets and hard loss";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override bool RunsBesideOthers(TrainOptions options) => true;

    public override long EstimateMemory(TrainOptions options)
    {
        var training = ShapeOf(options, new Foresight([])) is { } shape ? TrainingMemory.Estimate(options, shape, LongestOf(options)) : 0;
        return ProcessMemory + training + TrainingMemory.Teachers(options) + DataOf(options) + AnsweringOf(options);
    }

    /// <summary>Tokens of the longest trace that fits, of those that are there: a sequence takes its memory all at once.</summary>
    static int LongestOf(TrainOptions options)
    {
        var there = options.TracePaths().Where(path => ShardManifest.Load(path) is not null).ToList();
        var longest = there.Select(path =>
            LongOnesAsync(path, int.MaxValue, options.MaxTraces ?? MostTraces, CancellationToken.None).GetAwaiter().GetResult().Longest
        );
        var limit = Math.Min(options.MaxLength ?? int.MaxValue, PositionsOf(options, new Foresight([])) ?? int.MaxValue);
        return Math.Min(longest.DefaultIfEmpty().Max(), limit);
    }

    /// <summary>Beside the training a copy of the model answers, in float32, with keys and values.</summary>
    static long AnsweringOf(TrainOptions options) =>
        options.EvalProblems is not { } problems
            ? 0
            : EngineOptions.DefaultCacheBytes
                + FileBytes(problems)
                + (ShapeOf(options, new Foresight([])) is { } shape ? sizeof(float) * ModelParameters.CountOf(shape) : 0);

    /// <summary>
    /// Traces are held as they are stored and problems as tokens, as many as the buffer takes; half as much again is on its way.
    /// </summary>
    static long DataOf(TrainOptions options)
    {
        var data = options.Problems is { } problems ? FileBytes(problems) : 0;
        var most = (long)options.ShuffleBufferMb << 20;
        foreach (
            var manifest in options
                .TracePaths()
                .Select(path => ShardManifest.Load(path))
                .OfType<ShardManifest>()
                .Where(manifest => manifest.Rows > 0)
        )
        {
            var share = Math.Min(1, (double)(options.MaxTraces ?? manifest.Rows) / manifest.Rows);
            var bytes = manifest.Layout == SoftTargetLayout.Compact ? 2 : 8;
            data += (long)(share * manifest.Tokens * (BytesOfToken + (bytes * manifest.Dataset.TopK)));
        }

        return Math.Min(data, most + (most / 2));
    }

    /// <summary>Bytes of a token beside its soft targets: its id, and its share of what a sequence has.</summary>
    const int BytesOfToken = 16;

    /// <summary>Traces are looked through for their lengths up to here.</summary>
    const int MostTraces = 50_000;

    /// <summary>A stage that makes the problems which a student is to look at, without pictures; null where there is none.</summary>
    static StageAhead? WithoutPictures(TrainOptions options, Foresight ahead) =>
        options.Architecture?.PictureEncoder is null
            ? null
            : options
                .Pictures.Append(options.Problems)
                .Select(ahead.MakerOf)
                .FirstOrDefault(maker => maker?.Options is ProblemsOptions { Pictures: null });

    public override async IAsyncEnumerable<Foreseen> ForeseeAsync(
        TrainOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        if (options.Architecture is { } architecture && WhyImpossible(architecture) is { } impossible)
        {
            yield return new Foreseen(IsCertain: true, impossible);
            yield break;
        }

        if (WithoutPictures(options, ahead) is { } plain)
        {
            yield return new Foreseen(
                IsCertain: true,
                $"a student with a picture_encoder looks at pictures, and {plain.Name} draws none: add pictures: true to {plain.Name}"
            );
            yield break;
        }

        string[] unusable = [.. ForeseeModels(options, ahead)];
        foreach (var problem in unusable)
        {
            yield return new Foreseen(IsCertain: true, problem);
        }

        if (unusable.Length > 0)
        {
            yield break;
        }

        var first = StudentAhead.TracesOf(options);
        var maker = ahead.MakerOf(first);
        if (
            options is { Architecture: not null, InitFrom: null, Tokenizer: null }
            && !HasTokenizer(first, maker, maker?.Options as TeacherOptions)
        )
        {
            yield return new Foreseen(
                IsCertain: true,
                first is null
                    ? "a student from scratch needs a vocabulary: add tokenizer: path/to/model"
                    : $"a student from scratch takes the tokenizer that is stored with its traces, and {maker?.Name ?? first} has none: "
                        + $"add tokenizer: path/to/teacher{(maker is null ? "" : $" to {maker.Name}")}"
            );
        }

        if (PositionsOf(options, ahead) is { } positions)
        {
            var limit = Math.Min(positions, options.MaxLength ?? int.MaxValue);
            var advice =
                options.MaxLength < positions ? "max_length"
                : options.Student is null ? "max_position_embeddings"
                : null;
            var bound = advice == "max_length" ? $"max_length {limit}" : $"the student's {limit} positions";
            foreach (var path in options.TracePaths())
            {
                if (ahead.IsThere(path))
                {
                    if (await LongOnesAsync(path, limit, options.MaxTraces ?? MostTraces, cancellationToken) is { TooLong: > 0 } found)
                    {
                        yield return new Foreseen(
                            IsCertain: found.TooLong == found.Count,
                            FormattableString.Invariant($"{found.TooLong} of {found.Count} traces ")
                                + FormattableString.Invariant($"({(double)found.TooLong / found.Count:P1}) ")
                                + FormattableString.Invariant($"are longer than {bound} and will be left out: ")
                                + Raise(advice, found.Longest)
                        );
                    }
                }
                else if (ahead.MakerOf(path) is { Options: GenerateOptions collection } collecting && collection.MaxTokens >= limit)
                {
                    yield return new Foreseen(
                        IsCertain: false,
                        $"traces may be {collection.MaxTokens} tokens long behind their prompts "
                            + $"({collecting.Name}.max_tokens), and the student has {limit} positions; "
                            + $"longer ones will be left out: {Raise(advice, collection.MaxTokens + PromptRoom)}"
                    );
                }
            }
        }

        foreach (var foreseen in ForeseePrecision(options, () => ShapeOf(options, ahead)))
        {
            yield return foreseen;
        }
    }

    /// <summary>Why a model that the options name, or what they want of it, cannot be.</summary>
    static List<string> ForeseeModels(TrainOptions options, Foresight ahead)
    {
        (string Setting, string? Directory)[] named =
        [
            ("student", options.Student),
            ("init_from", options.InitFrom),
            ("teacher", options.Teacher),
            .. options.Teachers.Select(teacher => ("teachers", teacher.Model)),
            .. options.Peers.Select(peer => ("peers", peer.Student)),
        ];
        string[] missing = [.. named.Select(model => ModelAhead.WhyNone(model.Setting, model.Directory, ahead)).OfType<string>()];
        var impossible = options.Peers.Select(peer => peer.Architecture).OfType<ModelArchitecture>().Select(WhyImpossible);
        if (missing.Concat(impossible.OfType<string>().Select(reason => $"peers: {reason}")).ToList() is { Count: > 0 } problems)
        {
            return problems;
        }

        var shape = ModelAhead.ShapeOf(options, ahead);
        var teacher = options.Teacher ?? (options.Teachers is [{ Model: { } only }] ? only : null);
        return
        [
            .. shape is null ? [] : ShapeRules.Problems(options, shape, ModelAhead.ShapeOf(teacher, ahead)),
            .. ForeseeVocabularies(options, named[2..], ahead),
        ];
    }

    /// <summary>Models that teach the student need its vocabulary, whole.</summary>
    static IEnumerable<string> ForeseeVocabularies(TrainOptions options, (string Setting, string? Directory)[] teachers, Foresight ahead)
    {
        if (StudentAhead.TokenizerOf(options, ahead) is not { } own || !ahead.IsThere(own))
        {
            yield break;
        }

        var student = Tokenizer.Load(own);
        foreach (var (setting, directory) in teachers.Where(model => ahead.IsThere(model.Directory)))
        {
            if (!ModelDirectory.LoadTokenizer(directory!).Extends(student))
            {
                yield return $"{setting}: {directory} does not have the student's vocabulary"
                    + (
                        setting == "peers"
                            ? ""
                            : "; attach its distributions to the traces with the verb score, whose soft targets are aligned"
                    );
            }
        }
    }

    /// <summary>Tokens that a prompt may take beside the longest answer, in advice alone.</summary>
    const int PromptRoom = 256;

    /// <summary>A precision that this processor does not have costs time and nothing else.</summary>
    /// <param name="options">Of the training.</param>
    /// <param name="shapeOf">Gives the model's shape, as far as it is known by now.</param>
    public static IEnumerable<Foreseen> ForeseePrecision(OptimizationOptions options, Func<ModelConfiguration?> shapeOf)
    {
        if (options.ComputeDtype != ComputeDtype.BFloat16 || ComputeDtypes.MultipliesBFloat16 || !options.Device.IsCpu())
        {
            yield break;
        }

        var steps = options.NumTrainEpochs is null ? $"{options.MaxSteps:N0} steps compute" : "training computes";
        var time =
            options.NumTrainEpochs is null && shapeOf() is { } shape
                ? $"{TrainingTime.Words(TrainingTime.Estimate(options, shape, CPU))} if nothing else runs here, "
                : "";
        yield return new Foreseen(
            IsCertain: false,
            $"this processor does not multiply bfloat16: the {steps} in float32 and {(options.NumTrainEpochs is null ? "take" : "takes")} "
                + $"{time}about twice as long as on one that does (compute_dtype: float32 does the same everywhere)"
        );
    }

    /// <summary>Why a student from scratch cannot have a shape, whatever its vocabulary; null where it can.</summary>
    internal static string? WhyImpossible(ModelArchitecture architecture)
    {
        const int Vocabulary = 1_000;
        try
        {
            _ = architecture.Configure(Vocabulary, []);
            return null;
        }
        catch (InvalidInputException impossible)
        {
            return impossible.Message;
        }
    }

    /// <summary>The shape of the model that is trained; null where that follows from what is not there yet.</summary>
    static ModelConfiguration? ShapeOf(TrainOptions options, Foresight ahead)
    {
        if (options.Student is { } student)
        {
            return ahead.IsThere(student) ? ModelConfiguration.Load(student)
                : ahead.MakerOf(student)?.Options is TrainOptions earlier ? ShapeOf(earlier, ahead)
                : null;
        }

        return StudentAhead.TokenizerOf(options, ahead) is { } tokenizer && ahead.IsThere(tokenizer)
            ? options.Architecture!.Configure(Tokenizer.Load(tokenizer).VocabularySize, [])
            : null;
    }

    static bool HasTokenizer(string? traces, StageAhead? maker, TeacherOptions? collection) =>
        (traces, maker, collection) switch
        {
            (null, _, _) => false,
            // A folder without shards is another mistake, reported where they are read.
            (_, null, _) => TeacherTokenizer.StoredWith(traces) is not null || ShardManifest.Load(traces) is null,
            (_, { IsFinished: true }, _) => TeacherTokenizer.StoredWith(maker.Folder) is not null,
            // One that scores at an endpoint stores what it was named, or what its source had.
            (_, _, GenerateOptions or SynthesizeOptions) => collection.Tokenizer is not null || collection.Serve is not null,
            _ => true,
        };

    /// <summary>Longest length of a student's sequences; null where that follows from the traces, or is not known yet.</summary>
    internal static int? PositionsOf(TrainOptions options, Foresight ahead) =>
        options.Student is not { } student ? options.Architecture!.MaxPositionEmbeddings
        : ahead.IsThere(student) ? ModelConfiguration.Load(student).MaxPositionEmbeddings
        : ahead.MakerOf(student)?.Options is TrainOptions earlier ? PositionsOf(earlier, ahead)
        : null;

    static string Raise(string? setting, int length) =>
        setting switch
        {
            null => "take a student with more positions",
            "max_length" => $"max_length: {length}",
            _ => $"architecture: {{ {setting}: {length} }}, or leave it out to have as many as it takes",
        };

    static async Task<(int TooLong, int Count, int Longest)> LongOnesAsync(
        string traces,
        int limit,
        int most,
        CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(
            traces,
            new ShardReaderOptions { SoftTargets = false, VerifyChecksums = false },
            cancellationToken
        );
        var lengths = await reader
            .ReadAsync(cancellationToken)
            .Take(Math.Min(most, MostTraces))
            .Where(trace => FinishReasons.IsNatural(trace.FinishReason))
            .Select(trace => trace.PromptTokens + trace.CompletionTokens)
            .ToListAsync(cancellationToken);
        return (lengths.Count(length => length > limit), lengths.Count, lengths.DefaultIfEmpty().Max());
    }

    public override IReadOnlyCollection<string>? OutputNames(TrainOptions options) =>
        KeptNames(options) is not { } kept
            ? null
            :
            [
                .. kept,
                TrainStage.InitialDirectory,
                .. options.EvalProblems is null ? Array.Empty<string>() : [Trainer.EvaluationsDirectory],
                .. options.Peers.Count == 0 ? Array.Empty<string>() : [TrainStage.PeersDirectory],
                .. options.LoraR is null ? Array.Empty<string>() : [AdapterFiles.Folder],
                .. ModelDirectory.Files,
            ];

    /// <summary>Folders of checkpoints that are kept; null where the data tells how many steps there are.</summary>
    internal static IEnumerable<string>? KeptNames(OptimizationOptions options)
    {
        if (options.SaveTotalLimit == 0)
        {
            return [];
        }

        // Those that end early keep others of the same names.
        var mayEndEarly = options is TrainOptions { EarlyStoppingPatience: > 0 } or ClassifyOptions { EarlyStoppingPatience: > 0 };
        return options.NumTrainEpochs is not null || mayEndEarly ? null : Trainer.KeptNames(options);
    }

    public override async Task<object> RunAsync(TrainOptions options, StageContext context, CancellationToken cancellationToken) =>
        await TrainStage.RunAsync(
            options,
            context.Output!,
            context.Observer,
            await AnswerEvaluation.ReadAsync(options, context, cancellationToken),
            context.Published,
            await TeacherPromptAsync(options, cancellationToken),
            cancellationToken
        );

    /// <summary>Traces may not say how their problems were put; the student is then asked by the usual prompt.</summary>
    public override IEnumerable<string> ImplicitInputs(TrainOptions options) =>
        [
            .. options.EvalProblems is not null ? [AnswerEvaluation.Prompt] : Array.Empty<string>(),
            .. options.TeacherPrompt is { } prompt ? [PromptLibrary.Default.Load(prompt).Folder] : Array.Empty<string>(),
        ];

    static async Task<Func<Problem, IReadOnlyList<ChatMessage>>?> TeacherPromptAsync(
        TrainOptions options,
        CancellationToken cancellationToken
    ) =>
        options.TeacherPrompt is { } name
            ? (await PromptTemplate.CreateAsync(PromptLibrary.Default.Load(name), isPrivileged: true, cancellationToken)).Render
            : null;
}
