using System.Text.Json.Serialization;
using TraceDistill.Data.Labels;
using TraceDistill.Text.Chat;

namespace TraceDistill.Data.Problems;

/// <summary>A question, its answer where that is known, and a worked solution where there is one.</summary>
public sealed record Problem
{
    /// <summary>Unique within a problem set. Content hash where the source has no id.</summary>
    public required string Id { get; init; }

    /// <summary>
    /// The question as the model is to see it: of a conversation, the last turn of the user. Column and JSON name: <c>problem</c>.
    /// </summary>
    public required string Text { get; init; }

    /// <summary>The turns of a conversation before <see cref="Text"/>, a system message first where there is one.</summary>
    /// <value>None: the question stands alone.</value>
    public IReadOnlyList<ChatMessage> Earlier { get; init; } = [];

    /// <summary>The final answer alone, such as <c>72</c>; empty where the source tells none, so that no trace can be verified.</summary>
    public required string Answer { get; init; }

    /// <summary>A worked solution without the final answer line, or null.</summary>
    public string? Solution { get; init; }

    /// <summary>Roles of the numbers of the question (<c>start</c>, <c>gain</c>, <c>loss</c>, <c>size</c>); of generated stories
    /// alone.</summary>
    /// <value>None.</value>
    [JsonIgnore]
    public IReadOnlyList<LabelledSpan> Spans { get; init; } = [];

    /// <summary>The problem family or data set, such as <c>addition</c> or <c>gsm8k</c>: reports break accuracy down by it.</summary>
    public required string Family { get; init; }

    /// <summary>
    /// Path of a picture that shows <see cref="Text"/>, for models that look at it in the text's place; null where there is none. In a
    /// file it is relative to the file's folder. Column and JSON name: <c>picture</c>.
    /// </summary>
    [JsonIgnore]
    public string? Picture { get; init; }

    /// <summary>The problem as a model is asked that looks at its picture, the place of which is all that is left of the text.</summary>
    public Problem ByPicture() => this with { Text = $"{Pictures.Picture.Place}" };

    /// <summary>The whole conversation: the earlier turns, and the question as the user's turn.</summary>
    public IReadOnlyList<ChatMessage> Conversation() => [.. Earlier, new ChatMessage("user", Text)];
}
