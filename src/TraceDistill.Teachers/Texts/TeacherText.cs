using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Texts;

/// <summary>A conversation and the answer to it in a teacher's tokens.</summary>
/// <param name="Ids">The prompt, then the answer with the token that ends it.</param>
/// <param name="First">Index of the answer's first token.</param>
public readonly record struct TeacherText(int[] Ids, int First);

/// <summary>Writes a conversation and an answer that somebody gave as the teacher would have read and written them.</summary>
/// <param name="messages">The conversation before the answer.</param>
/// <param name="answer">The raw text of the answer, without an end token.</param>
public delegate TeacherText TeacherTextWriter(IReadOnlyList<ChatMessage> messages, string answer);
