using TraceDistill.Cli.Stages;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Training;
using TraceDistill.Training.Pretraining;

namespace TraceDistill.Cli.Commands;

/// <summary>A model from scratch, on problems with worked solutions.</summary>
sealed class PretrainVerb : Verb<PretrainOptions>
{
    public override string Name => "pretrain";

    public override string Description => "Train tokenizer and model from scratch on problems with worked solutions";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override bool RunsBesideOthers(PretrainOptions options) => true;

    public override long EstimateMemory(PretrainOptions options) =>
        ProcessMemory
        + TrainingMemory.Estimate(options, options.Architecture.Configure(options.VocabSize, []))
        + (options.Problems is { } problems ? FileBytes(problems) : 0);

    public override IAsyncEnumerable<Foreseen> ForeseeAsync(PretrainOptions options, Foresight ahead, CancellationToken cancellationToken)
    {
        var foreseen = TrainVerb.WhyImpossible(options.Architecture) is { } impossible
            ? [new Foreseen(IsCertain: true, impossible)]
            : TrainVerb.ForeseePrecision(options, () => options.Architecture.Configure(options.VocabSize, []));
        return foreseen.ToAsyncEnumerable();
    }

    public override IReadOnlyCollection<string>? OutputNames(PretrainOptions options) =>
        TrainVerb.KeptNames(options) is { } kept ? [.. kept, .. ModelDirectory.Files] : null;

    public override async Task<object> RunAsync(PretrainOptions options, StageContext context, CancellationToken cancellationToken) =>
        await Task.Run(() => PretrainStage.Run(options, context.Output!, context.Observer, cancellationToken), cancellationToken);
}
