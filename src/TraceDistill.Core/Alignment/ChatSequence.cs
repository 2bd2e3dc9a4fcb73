using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Tokenization;

namespace TraceDistill.Core.Alignment;

/// <summary>Writes conversations in a student's own tokens: its chat template, its vocabulary, its end-of-sequence token.</summary>
public sealed class ChatSequence
{
    readonly Tokenizer _tokenizer;
    readonly ChatTemplate _template;
    readonly int _endOfSequence;

    /// <param name="tokenizer">The student's.</param>
    /// <param name="template">The student's.</param>
    /// <exception cref="InvalidInputException">The tokenizer names no end-of-sequence token.</exception>
    public ChatSequence(Tokenizer tokenizer, ChatTemplate template)
    {
        _tokenizer = tokenizer;
        _template = template;
        _endOfSequence = tokenizer.EndOfSequenceIds.Count > 0
            ? tokenizer.EndOfSequenceIds.Min()
            : throw new InvalidInputException("the student's tokenizer names no end-of-sequence token: set eos_token in its tokenizer_config.json");
    }

    /// <summary>The tokens after which the model is to answer.</summary>
    public int[] Prompt(IReadOnlyList<ChatMessage> messages) => _tokenizer.Encode(_template.Render(messages, addGenerationPrompt: true));

    /// <summary>A prompt and a completion given as text: hard loss only.</summary>
    /// <param name="messages">The conversation before the answer.</param>
    /// <param name="completion">The answer as the model is to write it, think tags included, without end-of-sequence.</param>
    public TraceTokens FromText(IReadOnlyList<ChatMessage> messages, string completion)
    {
        var ids = new List<int>(Prompt(messages));
        var first = ids.Count;
        _tokenizer.Encode(completion, ids);
        ids.Add(_endOfSequence);
        return new TraceTokens([.. ids], first, Soft: null);
    }

    /// <summary>A problem with its worked solution.</summary>
    public TraceTokens FromSolution(Problem problem) =>
        FromText([new ChatMessage("user", problem.Text)], Completion(problem.Solution ?? "", problem.Answer));

    /// <summary>Reasoning and answer as one assistant turn: <c>&lt;think&gt;reasoning&lt;/think&gt;answer</c>.</summary>
    public static string Completion(string reasoning, string answer) => $"<think>{reasoning}</think>{answer}";
}
