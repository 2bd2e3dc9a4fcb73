using TraceDistill.Cli.Stages;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training;
using TraceDistill.Training.Classification;

namespace TraceDistill.Cli.Commands;

/// <summary>Classifiers of texts and tokens, one or several with shared layers, from labels and from larger classifiers.</summary>
sealed class ClassifyVerb : Verb<ClassifyOptions>
{
    public override string Name => "classify";

    public override string Description => "Train classifiers of texts or tokens, several with shared layers, from labels and from teachers";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override bool RunsBesideOthers(ClassifyOptions options) => true;

    /// <summary>Texts are held as tokens with their labels, about as much again as their files.</summary>
    public override long EstimateMemory(ClassifyOptions options)
    {
        var files = options.Tasks.Values.SelectMany(task => new[] { task.File, task.EvalFile }).OfType<string>().Sum(FileBytes);
        var teachers = options
            .Tasks.Values.Select(task => task.Teacher)
            .OfType<string>()
            .Where(Directory.Exists)
            .Sum(teacher => Directory.GetFiles(teacher, "*.safetensors").Sum(FileBytes));
        return ProcessMemory + (2 * files) + teachers + (ShapeOf(options) is { } shape ? TrainingMemory.Estimate(options, shape) : 0);
    }

    public override IAsyncEnumerable<Foreseen> ForeseeAsync(ClassifyOptions options, Foresight ahead, CancellationToken cancellationToken)
    {
        var foreseen =
            options.Architecture is { } architecture && TrainVerb.WhyImpossible(architecture) is { } impossible
                ? [new Foreseen(IsCertain: true, impossible)]
                : TrainVerb.ForeseePrecision(options, () => ShapeOf(options));
        return foreseen.ToAsyncEnumerable();
    }

    public override IReadOnlyCollection<string>? OutputNames(ClassifyOptions options) =>
        TrainVerb.KeptNames(options) is not { } kept ? null
        : options.Tasks.Count == 1 ? [.. kept, .. ModelDirectory.Files]
        : [.. kept, .. options.Tasks.Keys];

    public override async Task<object> RunAsync(ClassifyOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var summary = await ClassifyStage.RunAsync(options, context.Output!, context.Observer, cancellationToken);
        foreach (var (name, task) in summary.Tasks)
        {
            if (task.HeldOut is { Count: > 0 } scores)
            {
                context.Observer.Message(
                    FormattableString.Invariant($"{name}: {scores.Correct:N0} of {scores.Count:N0} held-out items right ")
                        + FormattableString.Invariant($"({scores.Accuracy:P1}), macro F1 {scores.MacroF1:F3}, ECE {scores.Ece:F3}")
                );
            }

            if (task.HeldOut is { Agreement: { } agreement } taught)
            {
                context.Observer.Message(
                    FormattableString.Invariant($"{name}: the teacher's label for {agreement:P1} of held-out items, KL {taught.Kl:F4}")
                );
            }
        }

        return summary;
    }

    /// <summary>The shape of the student; null where that follows from what is not there yet.</summary>
    static ModelConfiguration? ShapeOf(ClassifyOptions options) =>
        options.Student is { } student
            ? File.Exists(Path.Combine(student, ModelConfiguration.FileName))
                ? ModelConfiguration.Load(student)
                : null
            : File.Exists(Path.Combine(options.Tokenizer!, Tokenizer.FileName))
                ? options.Architecture!.Configure(Tokenizer.Load(options.Tokenizer!).VocabularySize, [])
                : null;
}
