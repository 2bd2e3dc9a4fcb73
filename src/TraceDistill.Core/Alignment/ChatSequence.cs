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

    /// <param name="tokenizer">The student's.</param>
    /// <param name="template">The student's.</param>
    /// <exception cref="InvalidInputException">The tokenizer names no end-of-sequence token.</exception>
    public ChatSequence(Tokenizer tokenizer, ChatTemplate template)
    {
        _tokenizer = tokenizer;
        _template = template;
        EndOfSequence = tokenizer.EndOfSequenceId
            ?? throw new InvalidInputException("the student's tokenizer names no end-of-sequence token: set eos_token in its tokenizer_config.json");
    }

    /// <summary>The token that ends each of the student's answers.</summary>
    public int EndOfSequence { get; }

    /// <summary>The tokens after which the model is to answer.</summary>
    public int[] Prompt(IReadOnlyList<ChatMessage> messages) => _tokenizer.Encode(_template.Render(messages, addGenerationPrompt: true));

    /// <summary>A prompt and a completion given as text: hard loss only.</summary>
    /// <param name="messages">The conversation before the answer.</param>
    /// <param name="completion">The answer as a model wrote it, without end-of-sequence; its think tags are made to suit the student's template.</param>
    public TraceTokens FromText(IReadOnlyList<ChatMessage> messages, string completion)
    {
        var prompt = _template.Render(messages, addGenerationPrompt: true);
        var ids = new List<int>(_tokenizer.Encode(prompt));
        var first = ids.Count;
        _tokenizer.Encode(Continuation(prompt, completion), ids);
        ids.Add(EndOfSequence);
        return new TraceTokens([.. ids], first, Soft: null);
    }

    /// <summary>A problem with its worked solution.</summary>
    public TraceTokens FromSolution(Problem problem) =>
        FromText([new ChatMessage("user", problem.Text)], Completion(problem.Solution ?? "", problem.Answer));

    /// <summary>Reasoning and answer as one assistant turn: <c>&lt;think&gt;reasoning&lt;/think&gt;answer</c>.</summary>
    public static string Completion(string reasoning, string answer) => ReasoningSplitter.Join(reasoning, answer);

    /// <summary>
    /// What the student has to write itself. Some templates open the reasoning at the end of the prompt: the tag is the student's then only
    /// where its own template does not, whatever the template of the model that wrote the completion did.
    /// </summary>
    static string Continuation(string prompt, string completion)
    {
        var body = completion.TrimStart();
        return (IsOpenedBy(prompt), body.StartsWith(ReasoningSplitter.Open, StringComparison.Ordinal)) switch
        {
            // The line break behind the tag is the template's too.
            (true, true) => body[ReasoningSplitter.Open.Length..].TrimStart('\n', '\r'),
            (false, false) when body.Contains(ReasoningSplitter.Close, StringComparison.Ordinal) => ReasoningSplitter.Open + completion,
            _ => completion,
        };
    }

    static bool IsOpenedBy(string prompt) => prompt.AsSpan().TrimEnd().EndsWith(ReasoningSplitter.Open, StringComparison.Ordinal);
}
