using TraceDistill.Cli.Stages;
using TraceDistill.Data.Prompts;
using TraceDistill.Models.Configuration;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Training;
using TraceDistill.Training.Distillation;

namespace TraceDistill.Cli.Commands;

/// <summary>Facts about a model that is there, or that a stage is going to train.</summary>
/// <param name="Task">In which words problems are put to it; null where that is not known.</param>
/// <param name="Positions">Longest sequence in tokens; null where that is not known.</param>
/// <param name="Tokenizer">Folder with its tokenizer; null where that is not known.</param>
sealed record StudentAhead(TaskDescription? Task, int? Positions, string? Tokenizer)
{
    static readonly StudentAhead Unknown = new(null, null, null);

    public static async Task<StudentAhead> FindAsync(string directory, Foresight ahead, CancellationToken cancellationToken)
    {
        if (ahead.IsThere(directory))
        {
            return File.Exists(Path.Combine(directory, ModelConfiguration.FileName))
                ? new StudentAhead(TaskDescription.Load(directory), ModelConfiguration.Load(directory).MaxPositionEmbeddings, directory)
                : Unknown;
        }

        if (ahead.MakerOf(directory)?.Options is not TrainOptions training)
        {
            return Unknown;
        }

        // Scored traces are put as their source is.
        var maker = ahead.MakerOf(TracesOf(training))?.Options;
        for (; maker is ScoreOptions { Traces: { } source }; maker = ahead.MakerOf(source)?.Options) { }

        var collection = maker as GenerateOptions;
        var isReady = collection is not null && (collection.FewShot is null || ahead.IsThere(collection.FewShot));
        return new StudentAhead(
            isReady ? await PromptSet.TaskOfAsync(collection!, cancellationToken) : null,
            TrainVerb.PositionsOf(training, ahead),
            TokenizerOf(training, ahead)
        );
    }

    /// <summary>The data set whose tokenizer and task a student takes over: the first one; null where there is none.</summary>
    public static string? TracesOf(TrainOptions training) => training.Traces is [var first, ..] ? first.Path : null;

    /// <summary>The folder whose tokenizer is stored with traces; null where none is, or it is not known yet.</summary>
    public static string? TokenizerOf(TeacherOptions made) => made.Tokenizer ?? (made as ScoreOptions)?.Teacher ?? made.Serve;

    /// <summary>The folder whose tokenizer a student is going to have; null where that is not known.</summary>
    public static string? TokenizerOf(TrainOptions training, Foresight ahead) =>
        training.Student
        ?? training.InitFrom
        ?? training.Tokenizer
        ?? (
            ahead.MakerOf(TracesOf(training))?.Options is TeacherOptions made ? TokenizerOf(made)
            : TracesOf(training) is { } traces && ahead.IsThere(traces) ? TeacherTokenizer.StoredWith(traces)
            : null
        );
}
