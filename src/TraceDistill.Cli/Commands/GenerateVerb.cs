using TraceDistill.Cli.Telemetry;
using TraceDistill.Core.Prompts;
using TraceDistill.Core.Storage;
using TraceDistill.Serving;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Batch;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Commands;

/// <summary>Problems → teacher → shards; with <c>serve</c>, the teacher is a model directory that this process serves meanwhile.</summary>
sealed class GenerateVerb : Verb<GenerateOptions>
{
    const string ProblemsKey = "problems";

    public override string Name => "generate";

    public override string Description => "Collect reasoning traces with logprobs from a teacher into shards";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override IReadOnlyCollection<string> CommandLineOnly => ["batch_out", "batch_in"];

    public override IEnumerable<string> ImplicitInputs(GenerateOptions options) =>
        options.PromptNames().Select(name => Path.GetDirectoryName(PromptLibrary.Default.Load(name).TemplatePath)!);

    public override async Task<object> RunAsync(GenerateOptions options, StageContext context, CancellationToken cancellationToken)
    {
        if (context.RunDirectory is not null && options.Partition is null)
        {
            // A run is one process and its other stages want all traces, also where it is one of an array of jobs.
            options = options with { Partition = "0/1" };
        }

        using var telemetry = new TelemetryExport(options.PrometheusPort, Environment.GetEnvironmentVariable);
        await using var server = options.Serve is { } model ? await ServeAsync(model, options, context, cancellationToken) : null;
        var endpoint = server is null ? options : options with { Endpoint = new Uri(server.Endpoint, "v1").ToString(), Model = options.Model ?? server.ModelName };
        await TakeOverAsync(endpoint, context, cancellationToken);
        if (options.BatchOut is not null)
        {
            return await BatchStage.WriteAsync(options, context.Output!, context.Observer, cancellationToken);
        }

        var summary = options.BatchIn.Count > 0
            ? await BatchStage.ImportAsync(options, context.Output!, context.Observer, context.TimeProvider, cancellationToken)
            : await CollectStage.RunAsync(endpoint, context.Output!, context.Observer, context.TimeProvider, cancellationToken);
        if ((options.Tokenizer ?? options.Serve) is { } tokenizer)
        {
            // A student that starts from nothing takes its vocabulary from beside the traces.
            ModelDirectory.CopyTokenizer(tokenizer, Path.Combine(context.Output!, TrainStage.StoredTokenizer));
        }

        context.Observer.Message($"{summary}");
        return summary;
    }

    /// <summary>
    /// A stage that only grew (more problems, more samples of each) keeps the traces it has: no trace is asked for twice. Those of another teacher
    /// or prompt are left behind.
    /// </summary>
    static async Task TakeOverAsync(GenerateOptions options, StageContext context, CancellationToken cancellationToken)
    {
        if (context.Earlier is { } earlier
            && earlier.ChangedInputs.IsSubsetOf([ProblemsKey])
            && ShardManifest.Load(context.Output!) is null
            && ShardManifest.Load(earlier.Folder) is { } manifest
            && await CollectStage.CoversAsync(options, earlier.Folder, cancellationToken))
        {
            foreach (var shard in manifest.Shards)
            {
                cancellationToken.ThrowIfCancellationRequested();
                File.Copy(Path.Combine(earlier.Folder, shard.File), Path.Combine(context.Output!, shard.File), overwrite: true);
            }

            // What those traces took counts against the budget still.
            foreach (var usage in CollectStage.UsageFilesIn(earlier.Folder))
            {
                File.Copy(usage, Path.Combine(context.Output!, Path.GetFileName(usage)), overwrite: true);
            }

            manifest.Save(context.Output!);
            context.Observer.Message($"keeps {manifest.Rows:N0} traces that were collected before");
        }
    }

    static Task<ModelServer> ServeAsync(string model, GenerateOptions options, StageContext context, CancellationToken cancellationToken) => ModelServer.StartAsync(
        new ServeOptions { Model = model, Name = options.Model, Port = 0, MaxConcurrent = options.Concurrency, MaxTopLogprobs = Math.Max(64, options.TopLogprobs) },
        context.Observer,
        context.TimeProvider,
        cancellationToken);
}
