using System.Text;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Routing;

/// <summary>About how many tokens a prompt has, before the teacher's tokenizer has seen it.</summary>
static class PromptSize
{
    public const int BytesPerToken = 3;
    const int TokensPerTurn = 8;

    /// <summary>
    /// Rather too many: English has four to five bytes a token, other scripts about three, and a template adds a few to each turn.
    /// </summary>
    public static int Tokens(IReadOnlyList<ChatMessage> messages) =>
        messages.Sum(message => TokensPerTurn + ((Encoding.UTF8.GetByteCount(message.Content) + BytesPerToken - 1) / BytesPerToken));
}
