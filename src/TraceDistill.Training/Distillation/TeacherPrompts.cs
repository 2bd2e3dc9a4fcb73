using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Distillation;

/// <summary>
/// Privileged context (Lopez-Paz et al., arXiv 1511.03643; of a model that teaches itself: Snell et al., arXiv 2209.15189): prompts that
/// models which teach read in place of the student's, in which solution and answer of the problem may stand.
/// </summary>
sealed class TeacherPrompts
{
    readonly Func<Problem, IReadOnlyList<ChatMessage>> _write;
    readonly ChatSequence _chat;
    readonly TraceProblems _problems;

    TeacherPrompts(Func<Problem, IReadOnlyList<ChatMessage>> write, ChatSequence chat, TraceProblems problems) =>
        (_write, _chat, _problems) = (write, chat, problems);

    /// <summary>Reads the problems of a training whose teachers have a prompt of their own.</summary>
    /// <param name="options">Name them.</param>
    /// <param name="write">Writes the prompt of a problem; null where teachers read what the student reads.</param>
    /// <param name="chat">The student's template and tokens, which its teachers share.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <returns>Null where teachers read what the student reads.</returns>
    /// <exception cref="InvalidInputException">A file cannot be read.</exception>
    public static async Task<TeacherPrompts?> ReadAsync(
        TrainOptions options,
        Func<Problem, IReadOnlyList<ChatMessage>>? write,
        ChatSequence chat,
        CancellationToken cancellationToken
    ) =>
        write is null
            ? null
            : new TeacherPrompts(
                write,
                chat,
                await TraceProblems.ReadAsync(options.TeacherProblems, options, "teacher_problems", cancellationToken)
            );

    /// <summary>Tokens of the prompt for a trace. May be called from several threads.</summary>
    /// <exception cref="InvalidInputException">Its problem is not among those given, or lacks what the prompt shows.</exception>
    public int[] Of(Trace trace) => Of(_problems.Of(trace));

    /// <summary>Tokens of the prompt for a problem.</summary>
    /// <exception cref="InvalidInputException">It lacks what the prompt shows.</exception>
    public int[] Of(Problem problem) => _chat.Prompt(_write(problem));
}
