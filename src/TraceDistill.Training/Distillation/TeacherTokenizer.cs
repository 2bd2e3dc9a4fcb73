using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Tokenization;

namespace TraceDistill.Training.Distillation;

/// <summary>Finds the tokenizer that the ids of traces are of.</summary>
static class TeacherTokenizer
{
    /// <returns>The teacher's tokenizer, or null where it is the student's own or the traces are text alone.</returns>
    /// <exception cref="InvalidInputException">It is another one than the student's and not there, or the one that is there is not that of the traces.</exception>
    public static Tokenizer? Of(TrainOptions options, DatasetDescription dataset, Tokenizer student)
    {
        if (dataset.TokenIdentity == TokenIdentity.Text || dataset.TokenizerHash == student.Hash)
        {
            return null;
        }

        var stored = Path.Combine(options.Traces!, TrainStage.StoredTokenizer);
        if ((options.TeacherTokenizer ?? (Directory.Exists(stored) ? stored : null)) is not { } directory)
        {
            // A teacher that does not tell its tokenizer may have the student's.
            return dataset.TokenizerHash is null ? null : throw new InvalidInputException(
                $"{options.Traces}: the token ids are of another vocabulary than the student's, and the teacher's tokenizer is not stored with them; name its model directory with teacher_tokenizer");
        }

        var teacher = Tokenizer.Load(directory);
        if (dataset.TokenizerHash is { } hash && hash != teacher.Hash)
        {
            throw new InvalidInputException($"{directory}: is not the tokenizer of {options.Traces}: its hash is {teacher.Hash}, theirs {hash}");
        }

        return teacher.Hash == student.Hash ? null : teacher;
    }
}
