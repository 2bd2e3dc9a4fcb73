using TraceDistill.Training.Adapters;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Commands;

/// <summary>A student from traces.</summary>
sealed class TrainVerb : Verb<TrainOptions>
{
    public override string Name => "train";

    public override string Description => "Train a student on traces: soft targets and hard loss";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override bool RunsBesideOthers => true;

    public override IReadOnlyCollection<string> OutputNames(TrainOptions options) =>
        [TrainStage.InitialDirectory, .. options.LoraR is null ? Array.Empty<string>() : [AdapterFiles.Folder], .. ModelDirectory.Files];

    public override async Task<object> RunAsync(TrainOptions options, StageContext context, CancellationToken cancellationToken) =>
        await TrainStage.RunAsync(options, context.Output!, context.Observer, cancellationToken);
}
