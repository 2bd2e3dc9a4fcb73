using TraceDistill.Cli.Stages;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Pretraining;

namespace TraceDistill.Cli.Commands;

/// <summary>A model directory that an option names, before anything runs: it is there, or an earlier stage makes it.</summary>
static class ModelAhead
{
    /// <summary>Of a student from scratch whose vocabulary is not known yet, in questions that do not depend on it.</summary>
    const int AnyVocabulary = 1_000;

    /// <summary>Says why a folder will be no model directory.</summary>
    /// <param name="setting">The option that names it.</param>
    /// <param name="directory">Null where it names none.</param>
    /// <param name="ahead">What is known of the stages before.</param>
    /// <returns>Null where it will be one, or that is not known yet.</returns>
    public static string? WhyNone(string setting, string? directory, Foresight ahead)
    {
        if (ahead.IsThere(directory))
        {
            try
            {
                var (_, weights) = ModelDirectory.Open(directory!);
                weights.Dispose();
                return null;
            }
            catch (InvalidInputException error)
            {
                return $"{setting}: {error.Message}";
            }
        }

        return ahead.MakerOf(directory) is { } maker && !MakesModels(maker.Options)
            ? $"{setting}: the stage {maker.Name} makes no model; name one that does (train, pretrain), or a model directory"
            : null;
    }

    /// <summary>Shape of a model; that of a student from scratch has a vocabulary of its own only where that is known.</summary>
    /// <returns>Null where it follows from what is not there yet.</returns>
    public static ModelConfiguration? ShapeOf(string? directory, Foresight ahead) =>
        ahead.IsThere(directory)
            ? ModelConfiguration.Load(directory!)
            : ahead.MakerOf(directory) switch
            {
                // Peers have shapes of their own.
                { Options: TrainOptions training, Folder: var folder } when !IsPeer(folder, directory!) => ShapeOf(training, ahead),
                { Options: PretrainOptions training } => training.Architecture.Configure(training.VocabSize, []),
                _ => null,
            };

    /// <inheritdoc cref="ShapeOf(string?, Foresight)"/>
    public static ModelConfiguration? ShapeOf(TrainOptions options, Foresight ahead) =>
        options switch
        {
            { Student: { } student } => ShapeOf(student, ahead),
            // What is cut out of another model has its family.
            { InitFrom: not null } or { Architecture: null } => null,
            _ => options.Architecture.Configure(
                StudentAhead.TokenizerOf(options, ahead) is { } tokenizer && ahead.IsThere(tokenizer)
                    ? Tokenizer.Load(tokenizer).VocabularySize
                    : AnyVocabulary,
                []
            ),
        };

    static bool IsPeer(string folder, string directory) =>
        Path.GetRelativePath(folder, directory).Split(Path.DirectorySeparatorChar)[0] == TrainStage.PeersDirectory;

    static bool MakesModels(object options) =>
        options is TrainOptions or PretrainOptions or ExportOptions { Format: ExportFormat.Huggingface };
}
