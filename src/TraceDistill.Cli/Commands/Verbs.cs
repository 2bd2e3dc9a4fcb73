using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;

namespace TraceDistill.Cli.Commands;

/// <summary>All verbs of the program, in the order in which the help lists them.</summary>
static class Verbs
{
    /// <summary>Those that can be stages.</summary>
    static readonly IVerb[] Stages =
    [
        new ProblemsVerb(),
        new GenerateVerb(),
        new ScoreVerb(),
        new SynthesizeVerb(),
        new TrainVerb(),
        new PretrainVerb(),
        new ClassifyVerb(),
        new LabelVerb(),
        new TokenizerTrainVerb(),
        new EvaluateVerb(),
        new ExportVerb(),
        new ReportVerb(),
    ];

    public static IReadOnlyList<IVerb> All { get; } =
    [new RunVerb(Stages, new StageProcesses()), .. Stages, new InspectVerb(), new ServeVerb(), new DoctorVerb()];
}
