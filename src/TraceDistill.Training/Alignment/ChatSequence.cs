using System.Text;
using TraceDistill.Data.Problems;
using TraceDistill.Models;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Alignment;

/// <summary>Writes conversations in a student's own tokens: its chat template, its vocabulary, its end-of-sequence token.</summary>
public sealed class ChatSequence
{
    /// <summary>Text before an answer without reasoning where the prompt has opened it.</summary>
    public const string EmptyReasoning = ReasoningSplitter.Close + "\n\n";

    readonly Tokenizer _tokenizer;
    readonly ChatTemplate _template;

    /// <param name="tokenizer">The student's.</param>
    /// <param name="template">The student's.</param>
    /// <param name="pictures">Pictures of the problems, for a student that looks at them; null for one that reads their text.</param>
    /// <exception cref="InvalidInputException">The tokenizer names no end-of-sequence token.</exception>
    public ChatSequence(Tokenizer tokenizer, ChatTemplate template, ProblemPictures? pictures = null)
    {
        Pictures = pictures;
        _tokenizer = tokenizer;
        _template = template;
        var named = tokenizer.EndOfSequenceId
            ?? throw new InvalidInputException(
                "the student's tokenizer names no end-of-sequence token: set eos_token in its tokenizer_config.json"
            );
        EndOfSequence = EndOfTurn() ?? named;
        Ends = tokenizer.EndOfSequenceIds.Append(EndOfSequence).ToHashSet();
    }

    /// <summary>Pictures of the problems, where the student is asked by them; null where it reads.</summary>
    public ProblemPictures? Pictures { get; }

    /// <summary>Identity of the template, as <see cref="ChatTemplate.Hash"/>.</summary>
    public string TemplateHash => _template.Hash;

    /// <summary>The template itself.</summary>
    public string TemplateSource => _template.Source;

    /// <summary>Every token at which a server of the student stops.</summary>
    public IReadOnlySet<int> Ends { get; }

    /// <summary>
    /// The token that ends each of the student's answers: the one that its template writes behind an assistant's turn, so
    /// that the student ends its answers as they stand in its prompts; the tokenizer's own where the template writes none.
    /// </summary>
    /// <remarks>
    /// They differ in Phi 3.5: <c>&lt;|end|&gt;</c> in the template, <c>&lt;|endoftext|&gt;</c>
    /// as <c>eos_token</c>, both in generation_config.json.
    /// </remarks>
    public int EndOfSequence { get; }

    /// <summary>
    /// True where the tokenizer's files name that token, so that servers stop there; those of base models often do not, which have a
    /// template and were never trained on it.
    /// </summary>
    public bool IsEndKnown => _tokenizer.EndOfSequenceIds.Contains(EndOfSequence);

    /// <summary>The tokens after which the model is to answer.</summary>
    public int[] Prompt(IReadOnlyList<ChatMessage> messages) => Prompt(messages, out _);

    /// <param name="messages">The conversation before the answer.</param>
    /// <param name="opensReasoning">True where the prompt ends in an open think tag, so that the answer begins in the reasoning.</param>
    public int[] Prompt(IReadOnlyList<ChatMessage> messages, out bool opensReasoning)
    {
        var rendered = _template.Render(messages, addGenerationPrompt: true);
        opensReasoning = IsOpenedBy(rendered);
        return Encode(rendered);
    }

    /// <summary>A prompt and a completion given as text: hard loss only.</summary>
    /// <param name="messages">
    /// The conversation before the answer, as the template writes it. Earlier turns of the assistant are context only.
    /// </param>
    /// <param name="completion">
    /// The answer as a model wrote it, without end-of-sequence; its think tags are made to suit the student's template.
    /// </param>
    /// <remarks>
    /// The answer is not rendered: templates strip its thinking or lay it out anew. So the sequence is, token
    /// for token, what a server sends the student and the student sends back, whatever the template makes of
    /// an answer once the conversation goes on. To learn from every turn of a conversation, make a sequence of
    /// each with the turns before it: one text of it all would show the student histories that it never meets.
    /// </remarks>
    public TraceTokens FromText(IReadOnlyList<ChatMessage> messages, string completion)
    {
        var rendered = _template.Render(messages, addGenerationPrompt: true);
        var (added, skipped) = Continuation(rendered, completion);
        return Sequence(rendered, _tokenizer.Encode(added + completion[skipped..]));
    }

    /// <summary>As <see cref="FromText"/>, and where in the completion each trained token starts.</summary>
    /// <returns>
    /// Starts: [trained + 1] bytes of UTF-8 from the completion's beginning, the last one of them its length; −1 for a token that
    /// begins in a tag put before it. Null where the tokenizer writes the completion as another text, so that they cannot be told.
    /// </returns>
    public (TraceTokens Tokens, int[]? Starts) FromTextWithStarts(IReadOnlyList<ChatMessage> messages, string completion)
    {
        var rendered = _template.Render(messages, addGenerationPrompt: true);
        var (added, skipped) = Continuation(rendered, completion);
        if (_tokenizer.FindSpans(added + completion[skipped..]) is not { } encoded)
        {
            return (FromText(messages, completion), null);
        }

        var (before, gone) = (Encoding.UTF8.GetByteCount(added), Encoding.UTF8.GetByteCount(completion.AsSpan(0, skipped)));
        var end = Encoding.UTF8.GetByteCount(completion);
        int[] starts = [.. encoded.ByteSpans.Select(span => span.Start < before ? -1 : span.Start - before + gone), end, end];
        return (Sequence(rendered, encoded.Ids), starts);
    }

    /// <summary>A problem with its worked solution.</summary>
    public TraceTokens FromSolution(Problem problem)
    {
        var completion = Completion(problem.Solution ?? "", problem.Answer);
        return Pictures is null
            ? FromText(problem.Conversation(), completion)
            : FromText(problem.ByPicture().Conversation(), completion) with
            {
                Picture = Pictures.Of(problem),
            };
    }

    /// <summary>Reasoning and answer as one assistant turn: <c>&lt;think&gt;reasoning&lt;/think&gt;answer</c>.</summary>
    public static string Completion(string reasoning, string answer) => ReasoningSplitter.Join(reasoning, answer);

    /// <summary>
    /// Text that the student has to write itself. Some templates open the reasoning at the end of the prompt: the tag is the student's
    /// then only
    /// where its own template does not, whatever the template of the model that wrote the completion did.
    /// </summary>
    /// <remarks>
    /// An answer without reasoning, behind a prompt that opens it, closes it first: whoever serves the student finds no answer otherwise.
    /// </remarks>
    /// <returns>The text put before the completion, and the number of its characters that are left out.</returns>
    static (string Added, int Skipped) Continuation(string prompt, string completion)
    {
        var body = completion.TrimStart();
        return (IsOpenedBy(prompt), body.StartsWith(ReasoningSplitter.Open, StringComparison.Ordinal)) switch
        {
            // The line break behind the tag is the template's too.
            (true, true) => ("", completion.Length - body[ReasoningSplitter.Open.Length..].TrimStart('\n', '\r').Length),
            (false, false) when body.Contains(ReasoningSplitter.Close, StringComparison.Ordinal) => (ReasoningSplitter.Open, 0),
            (true, false) when !body.Contains(ReasoningSplitter.Close, StringComparison.Ordinal) => (EmptyReasoning, 0),
            _ => ("", 0),
        };
    }

    /// <summary>
    /// The first special token that the template writes behind an answer; null where it writes none or refuses the question. Where a
    /// template ends in a generation prompt unasked, the token may be of that, so only one that the tokenizer knows for an end counts.
    /// </summary>
    int? EndOfTurn()
    {
        const string Answer = "Answer";
        ChatMessage[] turns = [new("user", "Question"), new("assistant", Answer)];
        try
        {
            var text = _template.Render(turns, addGenerationPrompt: false);
            var answer = text.LastIndexOf(Answer, StringComparison.Ordinal);
            var behind = answer < 0 ? [] : _tokenizer.Encode(text[(answer + Answer.Length)..]);
            var first = Array.FindIndex(behind, _tokenizer.IsSpecial);
            return
                first >= 0
                && (_tokenizer.EndOfSequenceIds.Contains(behind[first]) || _template.Render(turns, addGenerationPrompt: true) != text)
                ? behind[first]
                : null;
        }
        catch (InvalidInputException)
        {
            return null;
        }
    }

    TraceTokens Sequence(string rendered, IReadOnlyList<int> answer)
    {
        var prompt = Encode(rendered);
        return new TraceTokens([.. prompt, .. answer, EndOfSequence], prompt.Length, Soft: null);
    }

    int[] Encode(string rendered) => PicturePrompt.Encode(_tokenizer, rendered, Pictures?.Shape);

    static bool IsOpenedBy(string prompt) => prompt.AsSpan().TrimEnd().EndsWith(ReasoningSplitter.Open, StringComparison.Ordinal);
}
