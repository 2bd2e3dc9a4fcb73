using System.Globalization;
using Parquet;
using Parquet.Schema;
using TraceDistill.Cli.Inspection;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Statistics;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Commands;

/// <summary>
/// Shows shards: their content in figures, their columns, and any trace with the alternatives of every token or as a student is trained on
/// it; or a model.
/// </summary>
sealed class InspectVerb : Verb<InspectOptions>
{
    public override string Name => "inspect";

    public override string Description =>
        "Look into shards (statistics, columns, one trace with its top-k or as training text) or a model directory";

    public override VerbOutput Output => VerbOutput.None;

    public override bool PrintsResult => true;

    public override async Task<object> RunAsync(InspectOptions options, StageContext context, CancellationToken cancellationToken)
    {
        if (ModelView.IsModel(options.Path))
        {
            if (options.Rendered || options.Trace is not null)
            {
                throw new InvalidInputException(
                    $"{options.Path}: a model directory; --trace and --rendered show traces, "
                        + "so name a folder of them (and this model with --tokenizer)"
                );
            }

            var model = ModelView.Of(options.Path);
            model.Print(context.Observer);
            return model;
        }

        if (DataSetsOf(options.Path) is [_, ..] dataSets)
        {
            throw new InvalidInputException($"{options.Path}: a run directory; name one of its data sets: {string.Join(", ", dataSets)}");
        }

        var reader = await ShardReader.OpenAsync(options.Path, cancellationToken: cancellationToken);
        if (options.Rendered)
        {
            var view = await TrainingViewAsync(options, reader, cancellationToken);
            view.Print(context.Observer);
            return view;
        }

        if (options.Trace is not null)
        {
            var view = TraceView.Of(
                await TraceAsync(options, reader, cancellationToken),
                TokenizerOf(options) is { } folder ? Tokenizer.Load(folder) : null
            );
            view.Print(context.Observer);
            return view;
        }

        var statistics = await TraceStatistics.ComputeAsync(reader, cancellationToken);
        var columns = await ColumnsAsync(options.Path, reader, cancellationToken);
        var first = await reader.ReadAsync(cancellationToken).Take(3).Select(trace => trace.Id).ToListAsync(cancellationToken);
        Print(reader, statistics, context.Observer);
        context.Observer.Message($"columns: {string.Join(", ", columns.Keys)}");
        context.Observer.Message($"first traces, to be shown with --trace: {string.Join(", ", first)}");
        return new
        {
            reader.Path,
            reader.Dataset,
            reader.Layout,
            Columns = columns,
            Statistics = statistics,
            FirstTraces = first,
        };
    }

    static async Task<Trace> TraceAsync(InspectOptions options, ShardReader reader, CancellationToken cancellationToken) =>
        await reader
            .ReadAsync(cancellationToken)
            .FirstOrDefaultAsync(trace => trace.Id.StartsWith(options.Trace ?? "", StringComparison.Ordinal), cancellationToken)
        ?? throw new InvalidInputException(
            options.Trace is { } id
                ? $"{options.Path}: holds no trace {id}; leave out --trace to see what there is"
                : $"{options.Path}: holds no traces"
        );

    /// <summary>View of a trace as train takes it, by the same means.</summary>
    static async Task<TrainingView> TrainingViewAsync(InspectOptions options, ShardReader reader, CancellationToken cancellationToken)
    {
        var folder = TokenizerOf(options)
            ?? throw new InvalidInputException(
                $"{options.Path}: no tokenizer is stored with the traces; name the student's model directory with --tokenizer"
            );
        var tokenizer = Tokenizer.Load(folder);
        var teacher = TeacherTokenizer.Of(options.Path, named: null, reader.Dataset, tokenizer);
        reader.EnsureCompatible((teacher ?? tokenizer).Hash, (teacher ?? tokenizer).VocabularySize);
        var template = ChatTemplate.Load(folder, templateDirectory: TeacherTokenizer.TemplateFor(options.Path, named: null, tokenizer));
        var aligner = new TokenAligner(tokenizer, new ChatSequence(tokenizer, template), reader.Dataset, options.Path, topK: null, teacher);
        var trace = await TraceAsync(options, reader, cancellationToken);
        var sequence = aligner.Align(trace);
        return TrainingView.Of(trace, sequence, tokenizer, template, [aligner.DescribeTemplates(), .. aligner.DescribeLogprobs()]);
    }

    /// <summary>The one that is named, or the one that was stored with the traces.</summary>
    static string? TokenizerOf(InspectOptions options) => options.Tokenizer ?? TeacherTokenizer.StoredWith(options.Path);

    static string[] DataSetsOf(string path) =>
        Directory.Exists(path) && !File.Exists(Path.Combine(path, ShardManifest.FileName))
            ?
            [
                .. Directory
                    .EnumerateDirectories(path)
                    .Where(folder => File.Exists(Path.Combine(folder, ShardManifest.FileName)))
                    .Order(StringComparer.Ordinal),
            ]
            : [];

    static async Task<IReadOnlyDictionary<string, string>> ColumnsAsync(
        string path,
        ShardReader reader,
        CancellationToken cancellationToken
    )
    {
        var file = File.Exists(path)
            ? path
            : Path.Combine(
                path,
                reader.Manifest?.Shards[0].File ?? Directory.EnumerateFiles(path, "*.parquet").Order(StringComparer.Ordinal).First()
            );
        await using var parquet = await ParquetReader.CreateAsync(file, cancellationToken: cancellationToken);
        return new OrderedDictionary<string, string>(
            parquet.Schema.Fields.Select(field => KeyValuePair.Create(field.Name, TypeName(field)))
        );
    }

    /// <summary>The type of a column, as Arrow and its readers call it.</summary>
    static string TypeName(Field field) =>
        field switch
        {
            ListField list => $"list<{TypeName(list.Item)}>",
            StructField group => $"struct<{string.Join(", ", group.Fields.Select(member => $"{member.Name}: {TypeName(member)}"))}>",
            DataField { IsArray: true } data => $"list<{TypeName(data.ClrType)}>",
            DataField data => TypeName(data.ClrType),
            _ => field.SchemaType.ToString().ToLowerInvariant(),
        };

    static string TypeName(Type type) =>
        type switch
        {
            _ when type == typeof(string) || type == typeof(ReadOnlyMemory<char>) => "string",
            _ when type == typeof(byte[]) || type == typeof(ReadOnlyMemory<byte>) => "binary",
            _ when type == typeof(bool) => "bool",
            _ when type == typeof(float) => "float",
            _ when type == typeof(DateTime) => "timestamp",
            _ => type.Name.ToLowerInvariant(),
        };

    static void Print(ShardReader reader, TraceStatistics statistics, IRunObserver observer)
    {
        var data = reader.Dataset;
        observer.Message(
            $"{reader.Path}: {Counted.Of(statistics.Count, "trace")}, {Counted.Of(statistics.Tokens, "token")}, "
                + $"{ProgressText.Bytes(statistics.Bytes)} ({statistics.BytesPerToken:0.0} bytes a token)"
        );
        observer.Message(
            $"teacher {data.Teacher}, prompt {data.PromptFunction ?? "unknown"}, temperature {data.Temperature}, "
                + $"top-p {data.TopP}, tokens known by {data.TokenIdentity.ToString().ToLowerInvariant()}"
        );
        observer.Message(
            statistics.CapturedMass is not { } mass ? "no soft targets: text alone"
            : data.SampledLogprobs is { } draws
                ? $"soft targets are sampled: {draws} draws of each token from the teacher's whole distribution, log(count / {draws})"
            : $"top {statistics.TopK}: {mass:0.00%} of the probability, {statistics.Entropy:0.000} "
                + $"nats a token, {data.Logprobs.ToString().ToLowerInvariant()} logprobs"
        );
        if (SamplingDistortions.Warning(data) is { } warning)
        {
            observer.Message(warning);
        }

        var lengths = statistics.CompletionLengths;
        observer.Message(
            $"length: mean {lengths.Mean:0.0}, median {lengths.Median}, 90th percentile {lengths.Percentile90}, "
                + $"longest {lengths.Longest} tokens; prompts {statistics.PromptLengths.Mean:0.0}"
        );
        observer.Message($"verdicts: {Counts(statistics.Verdicts)}; finished by {Counts(statistics.FinishReasons)}");
        foreach (var (source, part) in statistics.Sources)
        {
            observer.Message(
                $"  {source, -16} {Count(part.Count), 10} traces {Count(part.Tokens), 14} tokens "
                    + $"{(part.Count == 0 ? 0 : (double)part.Correct / part.Count), 8:0.0%} correct"
            );
        }
    }

    static string Counts(IReadOnlyDictionary<string, long> counts) =>
        string.Join(", ", counts.Select(pair => $"{pair.Key} {Count(pair.Value)}"));

    static string Count(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
