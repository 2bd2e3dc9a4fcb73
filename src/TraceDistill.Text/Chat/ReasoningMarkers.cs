namespace TraceDistill.Text.Chat;

/// <summary>The marks that a model puts around its reasoning.</summary>
/// <param name="Open">Stands before the reasoning.</param>
/// <param name="Close">Stands between reasoning and answer.</param>
public sealed record ReasoningMarkers(string Open, string Close)
{
    /// <summary>Those of most models, and those that this program writes itself.</summary>
    public static ReasoningMarkers Think { get; } = new("<think>", "</think>");

    /// <summary>The channels of OpenAI's harmony format: analysis and commentary are reasoning, the final one is the answer.</summary>
    public static ReasoningMarkers Harmony { get; } = new("<|channel|>analysis<|message|>", "<|channel|>final<|message|>");

    /// <summary>Those of the models that are known.</summary>
    public static IReadOnlyList<ReasoningMarkers> Known { get; } =
    [
        Think,
        Harmony,
        new("[THINK]", "[/THINK]"),
        new("◁think▷", "◁/think▷"),
        new("<seed:think>", "</seed:think>"),
        new("<mm:think>", "</mm:think>"),
        new("<reasoning>", "</reasoning>"),
        new("<|START_THINKING|>", "<|END_THINKING|>"),
        new("<|begin_of_thought|>", "<|end_of_thought|>"),
    ];

    /// <summary>The marks that a chat template speaks of; null where it speaks of none that are known.</summary>
    /// <param name="template">The template's source.</param>
    public static ReasoningMarkers? Of(string template) =>
        template.Contains("<|channel|>", StringComparison.Ordinal)
            ? Harmony
            : Known.FirstOrDefault(markers =>
                template.Contains(markers.Open, StringComparison.Ordinal) || template.Contains(markers.Close, StringComparison.Ordinal)
            );

    /// <summary>Advice on what a setting with marks is to hold.</summary>
    public const string NamesWanted = "give the two marks around the reasoning, such as [\"<think>\", \"</think>\"], or harmony";

    /// <summary>The marks that a user names: <c>harmony</c>, or the one before the reasoning and the one behind it.</summary>
    /// <param name="names">The setting's values; none names no marks.</param>
    /// <param name="markers">Null for no names.</param>
    /// <returns>False where they are of another number, empty, or the same.</returns>
    public static bool TryName(IReadOnlyList<string> names, out ReasoningMarkers? markers)
    {
        markers = names switch
        {
            ["harmony"] => Harmony,
            [{ Length: > 0 } open, { Length: > 0 } close] when open != close => new(open, close),
            _ => null,
        };
        return markers is not null || names.Count == 0;
    }

    /// <summary>The marks that a prompt ends in, so that what follows begins within the reasoning; null where it ends in none.</summary>
    /// <param name="prompt">A prompt as the chat template renders it.</param>
    /// <param name="expected">Those of the model, where they may be others than the known ones.</param>
    public static ReasoningMarkers? OpenedBy(string prompt, ReasoningMarkers? expected = null)
    {
        var end = prompt.AsSpan().TrimEnd();
        foreach (var markers in expected is null ? Known : [expected, .. Known])
        {
            if (end.EndsWith(markers.Open, StringComparison.Ordinal))
            {
                return markers;
            }
        }

        return null;
    }

    /// <summary>The marks of a generation: those of the model, unless others stand where they cannot be anything else.</summary>
    /// <remarks>
    /// That is at the beginning, or where a closing mark comes without an opening one before it, which was then the prompt's.
    /// </remarks>
    internal static ReasoningMarkers In(string text, ReasoningMarkers? expected)
    {
        var start = text.AsSpan().TrimStart();
        foreach (var markers in Known)
        {
            if (start.StartsWith(markers.Open, StringComparison.Ordinal))
            {
                return markers;
            }
        }

        expected ??= Think;
        return text.Contains(expected.Open, StringComparison.Ordinal) || text.Contains(expected.Close, StringComparison.Ordinal)
            ? expected
            : Known.FirstOrDefault(markers => markers.ClosesFirst(text)) ?? expected;
    }

    /// <summary>Returns whether the closing mark comes, and no opening one before it.</summary>
    internal bool ClosesFirst(ReadOnlySpan<char> text)
    {
        var (open, close) = (text.IndexOf(Open, StringComparison.Ordinal), text.IndexOf(Close, StringComparison.Ordinal));
        return close >= 0 && (open < 0 || close < open);
    }
}
