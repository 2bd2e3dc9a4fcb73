using TraceDistill.Cli.Exporting;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Stages;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;

namespace TraceDistill.Cli.Commands;

/// <summary>A model for other programs: Hugging Face's layout with a model card, or GGUF.</summary>
sealed class ExportVerb : Verb<ExportOptions>
{
    const GgufQuantization UsualQuantization = GgufQuantization.F16;

    public override string Name => "export";

    public override string Description => "Write a model for other programs: Hugging Face, GGUF";

    public override VerbOutput Output => VerbOutput.Required;

    /// <summary>A model card tells what evaluations found.</summary>
    public override bool ReadsWholeRun => true;

    public override IReadOnlyCollection<string> OutputNames(ExportOptions options) =>
        options.Format == ExportFormat.Gguf ? [FileName(options)] : [ModelCard.FileName, .. ModelDirectory.Files];

    public override bool WritesFile(ExportOptions options, string output) =>
        options.Format == ExportFormat.Gguf && ExportTarget.IsFile(output);

    public override IAsyncEnumerable<Foreseen> ForeseeAsync(ExportOptions options, Foresight ahead, CancellationToken cancellationToken) =>
        ModelAhead.WhyNone("model", options.Model, ahead) is { } missing
            ? new[] { new Foreseen(IsCertain: true, missing) }.ToAsyncEnumerable()
            : AsyncEnumerable.Empty<Foreseen>();

    public override async Task<object> RunAsync(ExportOptions options, StageContext context, CancellationToken cancellationToken) =>
        options.Format == ExportFormat.Gguf
            ? await Task.Run(() => ExportGguf(options, context, cancellationToken), cancellationToken)
            : await ExportHuggingFaceAsync(options, context, cancellationToken);

    GgufSummary ExportGguf(ExportOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var path = WritesFile(options, context.Output!) ? context.Output! : Path.Combine(context.Output!, FileName(options));
        ExportTarget.CheckFile(path);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var summary = GgufExport.Run(
            new ExportSource(options.Model, options.Adapter),
            path,
            NameOf(options),
            options.Quantization ?? UsualQuantization,
            cancellationToken
        );
        foreach (var note in summary.Differences.Prepend(summary.QuantizationNote).Prepend(summary.Remark).Where(note => note is not null))
        {
            context.Observer.Message($"note: {note}");
        }

        context.Observer.Message(
            $"{context.NameOf(path)}: {summary.Quantization}, {ProgressText.Bytes(summary.Bytes)}, {summary.BitsPerWeight:0.0#} "
                + $"bits a weight ({string.Join(", ", summary.Tensors.Select(type => $"{type.Value} tensors {type.Key}"))})"
        );
        return summary with { Path = context.NameOf(path) };
    }

    static async Task<object> ExportHuggingFaceAsync(ExportOptions options, StageContext context, CancellationToken cancellationToken)
    {
        using var target = new ExportTarget(context.Output!, options.Model, isStage: context.RunDirectory is not null);
        var summary = await Task.Run(
            () =>
                HuggingFaceExport.Run(
                    new ExportSource(options.Model, options.Adapter),
                    target.Folder,
                    options.Dtype,
                    options.Quantization is { } quantization ? GgufExport.WeightsIn(quantization) : null,
                    cancellationToken
                ),
            cancellationToken
        );
        var facts = await CardFacts.ReadAsync(options.Model, options.Adapter, context.RunDirectory, cancellationToken);
        ModelCard.Write(target.Folder, NameOf(options), summary, facts);
        target.Publish();
        foreach (var note in summary.Differences.Prepend(summary.QuantizationNote).Prepend(summary.Remark).OfType<string>())
        {
            context.Observer.Message($"note: {note}");
        }

        if (summary.AdapterRounding is { } rounding)
        {
            context.Observer.Message(
                FormattableString.Invariant($"note: rounding to {summary.Dtype.TorchName()} changes the merged weights ")
                    + FormattableString.Invariant($"by {rounding:P0} of what the adapter does; dtype float32 keeps it as it is")
            );
        }

        context.Observer.Message(
            $"{summary.Parameters:#,0} parameters, {ProgressText.Bytes(summary.Bytes)}; {ModelCard.FileName} describes {facts.Told}"
        );
        return summary with { Path = context.NameOf(context.Output!) };
    }

    static string FileName(ExportOptions options) => $"model-{options.Quantization ?? UsualQuantization}.gguf";

    static string NameOf(ExportOptions options) => options.Name ?? CardFacts.NameOf(options.Adapter ?? options.Model);
}
