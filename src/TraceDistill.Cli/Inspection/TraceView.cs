using System.Text;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Inspection;

/// <summary>One alternative of a token.</summary>
/// <param name="Text">Null where neither a tokenizer nor the trace itself knows it.</param>
sealed record AlternativeView(int Id, string? Text, float Logprob);

/// <summary>One generated token with what the teacher might have said instead.</summary>
sealed record TokenView(int Index, int Id, string? Text, float Logprob, IReadOnlyList<AlternativeView> Top);

/// <summary>One trace, to be read by people.</summary>
sealed record TraceView
{
    /// <summary>Alternatives that are printed for a token; JSON has them all.</summary>
    const int Printed = 5;

    public required string Id { get; init; }

    public required string ProblemId { get; init; }

    public required string Source { get; init; }

    public required string Verdict { get; init; }

    public required string FinishReason { get; init; }

    public required string ExpectedAnswer { get; init; }

    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    public required string Generation { get; init; }

    public required IReadOnlyList<TokenView> Tokens { get; init; }

    public static TraceView Of(Trace trace, Tokenizer? tokenizer) =>
        new()
        {
            Id = trace.Id,
            ProblemId = trace.ProblemId,
            Source = trace.Source,
            Verdict = trace.Verdict,
            FinishReason = trace.FinishReason,
            ExpectedAnswer = trace.ExpectedAnswer,
            Messages = trace.Messages,
            Generation = trace.Generation,
            Tokens = trace.Logprobs is { } logprobs
                ? [.. Enumerable.Range(0, logprobs.Count).Select(index => Token(logprobs, index, tokenizer))]
                : [],
        };

    public void Print(IRunObserver observer)
    {
        observer.Message($"{Id}: problem {ProblemId} of {Source}, expected {ExpectedAnswer}, {Verdict}, finished by {FinishReason}");
        foreach (var message in Messages)
        {
            observer.Message($"{message.Role}: {message.Content}");
        }

        observer.Message($"assistant: {Generation}");
        foreach (var token in Tokens)
        {
            var others = token.Top.Take(Printed).Select(other => $"{Name(other.Id, other.Text)} {Math.Exp(other.Logprob):0.000}");
            observer.Message(
                $"{token.Index, 5}  {Name(token.Id, token.Text), -16} {Math.Exp(token.Logprob):0.000}  {string.Join("  ", others)}"
            );
        }
    }

    static TokenView Token(TokenLogprobs logprobs, int index, Tokenizer? tokenizer)
    {
        var top = Enumerable
            .Range(index * logprobs.K, logprobs.K)
            .Where(at => logprobs.TopIds[at] >= 0)
            .Select(at => new AlternativeView(logprobs.TopIds[at], Text(logprobs.TopIds[at]), logprobs.TopLogprobs[at]));
        return new TokenView(index, logprobs.TokenIds[index], Text(logprobs.TokenIds[index]), logprobs.Logprobs[index], [.. top]);

        string? Text(int id) =>
            logprobs.TokenBytes is { } table ? Encoding.UTF8.GetString(table[id])
            : tokenizer is not null && id < tokenizer.VocabularySize ? Encoding.UTF8.GetString(tokenizer.GetBytes(id))
            : null;
    }

    static string Name(int id, string? text) => text is null ? $"#{id}" : $"\"{text.Replace("\n", "\\n", StringComparison.Ordinal)}\"";
}
