using TraceDistill.Text.Chat;

namespace TraceDistill.Text.Tokenizers;

/// <summary>Counts conversations in whose text somebody wrote a model's special token, such as <c>&lt;|im_end|&gt;</c>.</summary>
/// <remarks>
/// A rendered conversation is encoded as one text, so what is written there becomes the token itself and may end a turn or begin another.
/// Transformers' <c>apply_chat_template</c> and vLLM do the same, and a student must be trained on the ids that its server will send it:
/// the text is
/// left as it is, and whoever owns the problems is told.
/// </remarks>
/// <param name="tokenizer">The model's.</param>
public sealed class SpecialTokensInText(Tokenizer tokenizer)
{
    string? _first;
    int _conversations;
    int _found;

    /// <summary>Looks at what a conversation says.</summary>
    /// <param name="messages">The conversation, before a chat template puts its own tokens around it.</param>
    /// <param name="problemId">The problem's id, for the message.</param>
    public void Look(IEnumerable<ChatMessage> messages, string problemId)
    {
        _conversations++;
        if (messages.Select(message => tokenizer.SpecialTokenIn(message.Content)).FirstOrDefault(token => token is not null) is { } token)
        {
            _found++;
            _first ??= $"{token} in problem {problemId}";
        }
    }

    /// <summary>The count and the first case, as a sentence; null where there is none.</summary>
    /// <param name="model">Whose tokens they are, such as <c>the student</c>.</param>
    public string? Describe(string model) =>
        _found == 0
            ? null
            : FormattableString.Invariant($"{_found:N0} of {_conversations:N0} prompts have special tokens ")
                + FormattableString.Invariant($"of {model} in their text ({_first}): they are read as tokens, ")
                + "as transformers and vLLM read them, and may end a turn; take them out of the problems unless they are meant";
}
