using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Distillation;

/// <summary>Finds the tokenizer that the ids of traces are of.</summary>
public static class TeacherTokenizer
{
    /// <summary>The folder of the tokenizer that was stored with traces; null where there is none.</summary>
    /// <param name="traces">A folder of shards, or one Parquet file.</param>
    public static string? StoredWith(string traces)
    {
        var folder = Path.Combine(
            Directory.Exists(traces) ? traces : Path.GetDirectoryName(Path.GetFullPath(traces))!,
            TrainStage.StoredTokenizer
        );
        return Directory.Exists(folder) ? folder : null;
    }

    /// <param name="traces">A folder of shards, or one Parquet file.</param>
    /// <param name="named">
    /// The teacher's model directory, where the user names one; otherwise what is stored with the traces counts.
    /// </param>
    /// <param name="dataset">The shards' facts about their tokens.</param>
    /// <param name="student">The student's tokenizer.</param>
    /// <returns>
    /// The teacher's tokenizer, or null where nothing is known of it but that it is the student's own, or the traces are text alone.
    /// </returns>
    /// <exception cref="InvalidInputException">
    /// It is another one than the student's and not there, or the one that is there is not that of the traces.
    /// </exception>
    public static Tokenizer? Of(string traces, string? named, DatasetDescription dataset, Tokenizer student)
    {
        if (dataset.TokenIdentity == TokenIdentity.Text)
        {
            return null;
        }

        if ((named ?? StoredWith(traces)) is not { } directory)
        {
            // A teacher that does not tell its tokenizer may have the student's.
            return dataset.TokenizerHash is null || dataset.TokenizerHash == student.Hash
                ? null
                : throw new InvalidInputException(
                    $"{traces}: the token ids are of another vocabulary than the student's, "
                        + "and the teacher's tokenizer is not stored with them; name its model directory with teacher_tokenizer"
                );
        }

        var teacher = Tokenizer.Load(directory);
        if (dataset.TokenizerHash is { } hash && hash != teacher.Hash)
        {
            throw new InvalidInputException($"{directory}: is not the tokenizer of {traces}: its hash is {teacher.Hash}, theirs {hash}");
        }

        return teacher;
    }

    /// <summary>
    /// The folder whose chat template a student without one takes: the teacher's, where both
    /// have the same vocabulary and so the tokens that it is written in; else null.
    /// </summary>
    /// <param name="traces">A folder of shards, or one Parquet file; null for none.</param>
    /// <param name="named">The teacher's model directory, where the user names one.</param>
    /// <param name="student">The student's tokenizer.</param>
    public static string? TemplateFor(string? traces, string? named, Tokenizer student)
    {
        if (student.ChatTemplateSource is not null || (named ?? (traces is null ? null : StoredWith(traces))) is not { } directory)
        {
            return null;
        }

        var teacher = Tokenizer.Load(directory);
        return teacher.ChatTemplateSource is not null && student.Extends(teacher) ? directory : null;
    }
}
