using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Distillation;

/// <summary>A student before the first step: its tokenizer, its shape and its weights.</summary>
static class StudentBeginning
{
    /// <summary>Where a student from scratch has its tokenizer from.</summary>
    /// <exception cref="InvalidInputException">None is named, and none is stored with the traces.</exception>
    public static string TokenizerDirectory(TrainOptions options)
    {
        if (options.Tokenizer is { } given)
        {
            return given;
        }

        return options.FirstTraces is { } traces && TeacherTokenizer.StoredWith(traces) is { } stored
            ? stored
            : throw new InvalidInputException(
                "tokenizer: a student from scratch needs a vocabulary, and none is stored with the traces; "
                    + "name the teacher's model directory"
            );
    }

    /// <summary>The student's shape before anything long is read; of one from scratch without its positions where the data tells.</summary>
    /// <exception cref="InvalidInputException">There is no such student, or no such shape.</exception>
    public static ModelConfiguration ShapeOf(TrainOptions options, Tokenizer tokenizer) =>
        options.Student is { } student
            ? ModelConfiguration.Load(student)
            : options.Architecture!.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds);

    /// <summary>Shape of the one teacher that is a model; null where there is none.</summary>
    public static ModelConfiguration? TeacherShapeOf(TrainOptions options) =>
        options is { RunTeachers: [{ Model: { } teacher }], Teachers.Count: <= 1 } ? ModelConfiguration.Load(teacher) : null;

    /// <summary>Room for the longest sequence, and for an answer as long as the teacher's may be behind the longest prompt.</summary>
    public static int PositionsFor(TrainOptions options, TrainingSet data)
    {
        const int Multiple = 64;
        var read = options.IsTaughtAlong ? Math.Max(data.Longest, data.LongestOfTeacher) : data.Longest;
        var needed = Math.Max((long)read, (long)data.LongestPrompt + (data.Task?.MaxTokens ?? 0));
        return (int)Math.Min(int.MaxValue, Math.Max(ModelArchitecture.LeastPositions, (needed + Multiple - 1) / Multiple * Multiple));
    }

    /// <summary>The student before the first step, and what of it is trained.</summary>
    public static TrainedWeights Begin(TrainOptions options, Tokenizer tokenizer, int positions)
    {
        if (options.Adapters is { } settings)
        {
            var frozen = options.Student is { } student
                ? StudentInitialization.Finite(ModelDirectory.LoadFrozen(student), student)
                : InitialParameters(options, tokenizer, positions);
            return TrainedWeights.Of(new LoraAdapter(frozen, settings, options.Seed));
        }

        var parameters = InitialParameters(options, tokenizer, positions);
        return options.FrozenParameters.Count > 0
            ? TrainedWeights.AllBut(parameters, FrozenSelection.Names(options.FrozenParameters, [.. parameters.Names]))
            : TrainedWeights.All(parameters);
    }

    static ModelParameters InitialParameters(TrainOptions options, Tokenizer tokenizer, int positions)
    {
        if (options.Student is { } student)
        {
            return StudentInitialization.Finite(ModelDirectory.Load(student), student);
        }

        var shape = options.Architecture!.Configure(tokenizer.VocabularySize, tokenizer.EndOfSequenceIds, positions);
        if (options.InitFrom is { } larger)
        {
            using var taken = StudentInitialization.Finite(ModelDirectory.Load(larger), larger);
            var cut = new ModelParameters(StudentInitialization.Adopt(shape, taken.Configuration));
            if (shape.Pictures is not null)
            {
                cut.Initialize(options.Seed); // the encoder; all else is copied
            }

            StudentInitialization.Copy(cut, taken, larger);
            return cut;
        }

        var parameters = new ModelParameters(shape);
        parameters.Initialize(options.Seed);
        return parameters;
    }
}
