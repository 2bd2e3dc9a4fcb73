using System.Runtime.CompilerServices;
using TraceDistill.Cli.Secrets;
using TraceDistill.Cli.Stages;
using TraceDistill.Cli.Telemetry;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Inference;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Texts;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Commands;

/// <summary>
/// Traces or worked solutions → teacher → the same rows with its soft targets; the teacher is an endpoint, a model directory that this
/// process serves meanwhile, or one that scores in it.
/// </summary>
sealed class ScoreVerb : Verb<ScoreOptions>
{
    public override string Name => "score";

    public override string Description => "Attach a teacher's soft targets to text that exists: traces of others, or worked solutions";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool LocksOutput => true;

    public override bool IsResumable => true;

    public override bool KeepsEarlierWork => true;

    public override bool SendsKeys => true;

    /// <summary>On the processor a text's scores depend neither on what is scored beside it nor on the number of cores.</summary>
    public override bool RunsBesideOthers(ScoreOptions options) => options.Teacher is not null;

    public override long EstimateMemory(ScoreOptions options) => ProcessMemory + options.BytesInFlight + ModelMemory(options);

    static long ModelMemory(ScoreOptions options)
    {
        if ((options.Teacher ?? options.Serve) is not { } model || !Directory.Exists(model))
        {
            return 0;
        }

        // The cache is made to hold the longest text, which is known once all are read.
        var cache = options.Teacher is null ? EngineOptions.DefaultCacheBytes : LocalScorer.MostCacheBytes(model);
        return cache + Directory.GetFiles(model, "*.safetensors").Sum(FileBytes);
    }

    public override IEnumerable<string> ImplicitInputs(ScoreOptions options) =>
        options.Prompt is { } prompt ? [PromptLibrary.Default.Load(prompt).Folder] : [];

    public override IEnumerable<KeyUse> KeyUses(ScoreOptions options) => ServedTeacher.KeyUses(options);

    public override async IAsyncEnumerable<Foreseen> ForeseeAsync(
        ScoreOptions options,
        Foresight ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var model = options.Teacher ?? options.Serve;
        if (ModelAhead.WhyNone(options.Teacher is null ? "serve" : "teacher", model, ahead) is { } missing)
        {
            yield return new Foreseen(IsCertain: true, missing);
            yield break;
        }

        if (
            ahead.IsThere(model)
            && ahead.IsThere(options.Tokenizer)
            && ServedTeacher.TokenizerProblem(model, options.Tokenizer) is { } other
        )
        {
            yield return new Foreseen(IsCertain: true, other);
            yield break;
        }

        if (model is null && options.Tokenizer is null && options.Traces is { } traces && ahead.IsThere(traces))
        {
            if (StoredTokenizer(options, await OpenAsync(traces, cancellationToken)) is null)
            {
                yield return new Foreseen(IsCertain: true, WithoutTokenizer);
            }
        }
        else if (model is null && options is { Tokenizer: null, Problems: not null })
        {
            yield return new Foreseen(IsCertain: true, WithoutTokenizer);
        }

        if (model is null || options.Traces is not { } source || !ahead.IsThere(model) || !ahead.IsThere(source))
        {
            yield break;
        }

        // Lengths are the writer's, which are the teacher's where both have one tokenizer.
        var reader = await OpenAsync(source, cancellationToken);
        var positions = ModelConfiguration.Load(model).MaxPositionEmbeddings;
        if (reader.Dataset.TokenizerHash is not { } hash || hash != Tokenizer.Load(options.Tokenizer ?? model).Hash)
        {
            yield break;
        }

        var (tooLong, count, longest) = (0, 0, 0);
        await foreach (var trace in reader.ReadAsync(cancellationToken).Take(MostLookedAt))
        {
            var length = trace.PromptTokens + trace.CompletionTokens;
            (tooLong, count, longest) = (tooLong + (length > positions ? 1 : 0), count + 1, Math.Max(longest, length));
        }

        if (tooLong > 0)
        {
            yield return new Foreseen(
                IsCertain: tooLong == count,
                FormattableString.Invariant($"{tooLong:N0} of {count:N0} traces do not fit the teacher's {positions:N0} positions ")
                    + FormattableString.Invariant($"(the longest has {longest:N0} tokens) and will have no soft targets: ")
                    + "take a teacher with a longer context"
            );
        }
    }

    /// <summary>Traces are looked through for their lengths up to here.</summary>
    const int MostLookedAt = 50_000;

    const string WithoutTokenizer =
        "the endpoint's tokenizer is not known: name the folder with the teacher's tokenizer.json and chat template (tokenizer)";

    public override async Task<object> RunAsync(ScoreOptions options, StageContext context, CancellationToken cancellationToken)
    {
        options = options with { Discard = options.Discard || context.IsDiscarded };
        ServedTeacher.EnsureTokenizer(options.Teacher ?? options.Serve, options.Tokenizer);
        using var telemetry = new TelemetryExport(options.PrometheusPort, Environment.GetEnvironmentVariable);
        var traces = options.Traces is { } path ? await OpenAsync(path, cancellationToken) : null;
        var folder = TokenizerOf(options, traces);
        var teacher = TeacherOf(options, folder, context.TimeProvider);
        await TakeOverAsync(options, teacher, context, cancellationToken);
        await using var server = await ServedTeacher.StartAsync(options, options.TopLogprobs, context, cancellationToken);
        var asked = server is null ? options : options with { Endpoint = new Uri(server.Endpoint, "v1").ToString(), Model = teacher.Model };
        var summary = await ScoreStage.RunAsync(
            asked with
            {
                Tokenizer = folder,
            },
            context.Output!,
            teacher,
            MathVerifier.Instance,
            context.Observer,
            context.TimeProvider,
            Publishing,
            cancellationToken
        );
        context.Observer.Message($"{summary}");
        return summary;

        // A student from scratch takes its vocabulary from beside the traces, and whoever evaluates it asks it what it was taught.
        void Publishing()
        {
            ModelDirectory.CopyTokenizer(folder, Path.Combine(context.Output!, TrainStage.StoredTokenizer));
            if (traces is not null)
            {
                TaskDescription.OfTraces(traces.Path, traces.Dataset)?.Save(context.Output!);
            }
        }
    }

    public override async Task<string?> PreviewAsync(
        ScoreOptions options,
        string folder,
        bool isDiscarded,
        CancellationToken cancellationToken
    )
    {
        // What an earlier stage is to make may not be there yet.
        string?[] read = [options.Source, options.Serve, options.Teacher, options.Tokenizer, .. options.PromptProblems];
        if (!read.OfType<string>().All(Path.Exists) || !CollectStage.HasBegunIn(folder))
        {
            return null;
        }

        var traces = options.Traces is { } path ? await OpenAsync(path, cancellationToken) : null;
        var teacher = TeacherOf(options, TokenizerOf(options, traces), TimeProvider.System);
        var preview = await ScoreStage.PreviewAsync(options, folder, teacher, MathVerifier.Instance, cancellationToken);
        return preview.Describe(isDiscarded || options.Discard);
    }

    /// <summary>A stage keeps the scores that it has where only how they are kept has changed, and gives none up unasked.</summary>
    static async Task TakeOverAsync(ScoreOptions options, ScoringTeacher teacher, StageContext context, CancellationToken cancellationToken)
    {
        if (
            context.Earlier is not { } earlier
            || CollectStage.HasBegunIn(context.Output!)
            || ShardManifest.Load(earlier.Folder) is not { } manifest
        )
        {
            return;
        }

        var preview = await ScoreStage.PreviewAsync(options, earlier.Folder, teacher, MathVerifier.Instance, cancellationToken);
        if (preview.Difference is not null && !options.Discard)
        {
            throw preview.Refusal(context.NameOf(context.Output!));
        }

        EarlierTraces.CopyUsage(earlier.Folder, context.Output!);
        if (preview.Difference is null)
        {
            EarlierTraces.Copy(earlier.Folder, manifest, context.Output!, cancellationToken);
            context.Observer.Message($"keeps {preview.Present:N0} traces that were scored before");
        }
    }

    static Task<ShardReader> OpenAsync(string traces, CancellationToken cancellationToken) =>
        ShardReader.OpenAsync(traces, new ShardReaderOptions { SoftTargets = false, VerifyChecksums = false }, cancellationToken);

    /// <summary>Folder with the teacher's tokenizer and chat template.</summary>
    static string TokenizerOf(ScoreOptions options, ShardReader? traces) =>
        options.Tokenizer
        ?? options.Teacher
        ?? options.Serve
        ?? StoredTokenizer(options, traces)
        ?? throw new InvalidInputException($"tokenizer: {WithoutTokenizer}");

    /// <summary>The tokenizer that is stored with traces is the teacher's where the teacher wrote them.</summary>
    static string? StoredTokenizer(ScoreOptions options, ShardReader? traces) =>
        traces is not null && traces.Dataset.Scoring is null && traces.Dataset.Teacher == options.Model
            ? TeacherTokenizer.StoredWith(traces.Path)
            : null;

    static ScoringTeacher TeacherOf(ScoreOptions options, string folder, TimeProvider time)
    {
        var (tokenizer, template) = (Tokenizer.Load(folder), ChatTemplate.Load(folder, time));
        var chat = new ChatSequence(tokenizer, template);
        return new ScoringTeacher(
            options.Model ?? ServedTeacher.NameOf((options.Teacher ?? options.Serve)!),
            tokenizer,
            template.Hash,
            Write
        )
        {
            Load = options.Teacher is { } model ? longest => LocalScorer.Load(model, EngineOptionsOf(options), longest) : null,
        };

        TeacherText Write(IReadOnlyList<Text.Chat.ChatMessage> messages, string answer)
        {
            var tokens = chat.FromText(messages, answer);
            return new TeacherText(tokens.Ids, tokens.FirstTrained);
        }
    }

    static EngineOptions EngineOptionsOf(ScoreOptions options) => new() { Device = options.Device, MaxRunning = options.Concurrency };
}
