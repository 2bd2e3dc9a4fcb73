using System.Text;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Scoring;

/// <summary>A text as a server scored it, token for token the one that was sent.</summary>
/// <param name="Logprobs">Of the tokens that were to be scored.</param>
/// <param name="Identity">Names that the server gave the alternatives.</param>
/// <param name="PromptTokens">Tokens that it read, by its own count.</param>
/// <param name="CompletionTokens">Tokens that it generated behind them.</param>
sealed record ScoredText(TokenLogprobs Logprobs, TokenIdentity Identity, int PromptTokens, int CompletionTokens);

/// <summary>
/// Holds what came back against what was sent. By ids where the server names tokens so; else each token's text has to be that of the token
/// in its place. Nothing is ever moved to make it fit: a server that puts a token of its own in front, merges or divides tokens or scores
/// another text is found, and what it did is said.
/// </summary>
static class ScoreAlignment
{
    /// <param name="reply">What came back.</param>
    /// <param name="start">Index in <paramref name="request"/>'s tokens at which it begins if the server did as it was told.</param>
    /// <param name="request">What is to be scored.</param>
    /// <param name="newTokens">Tokens that may stand behind it, generated.</param>
    /// <param name="tokens">The teacher's vocabulary.</param>
    /// <exception cref="ScoreMisalignedException">The tokens are others, or their logprobs are none.</exception>
    public static ScoredText Align(ScoredTokens reply, int start, ScoringRequest request, int newTokens, TokenResolver tokens)
    {
        var sent = request.Tokens.AsSpan(start);
        if (reply.Tokens.Count == 0)
        {
            throw new ScoreMisalignedException(Missing(reply, sent.Length)) { IsOfNothing = true };
        }

        if (Difference(reply, 0, sent, tokens.Tokenizer) is { } difference)
        {
            throw Difference(reply, 1, sent, tokens.Tokenizer) is null
                ? new ScoreMisalignedException(
                    $"puts a token of its own ({Name(reply.Tokens[0], tokens.Tokenizer)}) before the text that it is sent"
                )
                {
                    AddsFirst = true,
                    Added = reply.Tokens[0].Id,
                }
                : new ScoreMisalignedException(difference);
        }

        if (reply.Tokens.Count > sent.Length + newTokens)
        {
            throw new ScoreMisalignedException($"returned logprobs for {reply.Tokens.Count} tokens, and {sent.Length} were sent");
        }

        EnsureSameText(reply, request, tokens.Tokenizer);
        var (first, count) = (request.First - start, request.Scored.Length);
        if (reply.Problem(first, count) is { } problem)
        {
            throw new ScoreMisalignedException(problem);
        }

        var logprobs = reply.Columns.ToTokenLogprobs(reply.AreNamedByText ? reply.Bytes.ToArray() : null, first, count);
        return new ScoredText(
            tokens.Resolve(logprobs with { TokenIds = request.Scored.ToArray() }, request.Scored.ToArray())!,
            reply.AreNamedByText ? TokenIdentity.Bytes : TokenIdentity.Ids,
            reply.PromptTokens > 0 ? reply.PromptTokens : request.Tokens.Length,
            reply.CompletionTokens
        );
    }

    /// <returns>What is wrong where the reply is taken to have so many tokens more in front; null where nothing is.</returns>
    static string? Difference(ScoredTokens reply, int offset, ReadOnlySpan<int> sent, Tokenizer? tokenizer)
    {
        for (var i = 0; i < sent.Length; i++)
        {
            if (i + offset >= reply.Tokens.Count)
            {
                return Missing(reply, sent.Length);
            }

            var token = reply.Tokens[i + offset];
            if (!IsOf(token, sent[i], i + offset == 0, tokenizer))
            {
                return $"scored another text than it was sent: token {i} came back as {Name(token, tokenizer)}, "
                    + $"and {Name(new ScoredToken(sent[i]), tokenizer)} was sent";
            }
        }

        return null;
    }

    static string Missing(ScoredTokens reply, int sent) => $"returned logprobs for {reply.Tokens.Count} of {sent} tokens";

    /// <param name="isHead">True for the very first token, of which some servers say nothing at all.</param>
    static bool IsOf(ScoredToken token, int id, bool isHead, Tokenizer? tokenizer)
    {
        if (token.Id >= 0)
        {
            return token.Id == id;
        }

        if (token.Text is not { } text)
        {
            return isHead;
        }

        if (tokenizer is null || id >= tokenizer.VocabularySize)
        {
            return false;
        }

        var bytes = tokenizer.GetBytes(id);
        var ours = Encoding.UTF8.GetString(bytes);
        return ScoredTokens.BytesOf(text) is { } named
            ? named.AsSpan().SequenceEqual(bytes) || text == tokenizer.NameOf(id) || IsSame(Spaced(text), ours)
            // Bytes that are no character of their own come as U+FFFD.
            : ours.Contains('\uFFFD');
    }

    /// <summary>
    /// Returns whether two texts are one but for a space before it, which some servers leave out. Of a token that is space and nothing else
    /// all of it tells it from others.
    /// </summary>
    static bool IsSame(string theirs, string ours) =>
        theirs == ours
        || (string.IsNullOrWhiteSpace(ours) ? ours == " " && theirs.Length == 0 : theirs == $" {ours}" || $" {theirs}" == ours);

    /// <summary>A token's text with spaces where its name has the marks that stand for them.</summary>
    static string Spaced(string name) => name.Replace('▁', ' ').Replace('Ġ', ' ');

    /// <summary>
    /// Ids that are the same may stand for other texts: then the tokenizer that made them is not the teacher's. Servers spell tokens with
    /// small differences (a space at the beginning, no special tokens, nothing for parts of characters), which say nothing.
    /// </summary>
    static void EnsureSameText(ScoredTokens reply, ScoringRequest request, Tokenizer? tokenizer)
    {
        if (tokenizer is null)
        {
            return;
        }

        const string Advice = "the tokenizer is not the teacher's: name the folder with the teacher's own tokenizer.json (tokenizer)";
        foreach (var token in reply.Tokens.Where(token => token is { Id: >= 0, Text.Length: > 0 }))
        {
            var (theirs, ours) = (Trimmed(token.Text!), SpellingOf(token.Id, tokenizer));
            if (theirs.Length > 0 && ours is { Length: > 0 } && theirs.All(char.IsAsciiLetterOrDigit) && theirs != ours)
            {
                throw new ScoreMisalignedException($"spells token {token.Id} otherwise than {tokenizer.File} does: {Advice}");
            }
        }

        if (
            reply.Text is { } text
            && !reply.AreNamedByText
            && Letters(text) is var echoed
            && !echoed.StartsWith(Letters(Whole(tokenizer.Decode(request.Tokens))), StringComparison.Ordinal)
            && !echoed.StartsWith(Letters(Whole(tokenizer.Decode(request.Tokens, skipSpecialTokens: true))), StringComparison.Ordinal)
        )
        {
            throw new ScoreMisalignedException($"echoes another text than {tokenizer.File} spells with the same ids: {Advice}");
        }
    }

    /// <returns>Null for what is no text of its own.</returns>
    static string? SpellingOf(int id, Tokenizer tokenizer) =>
        id < tokenizer.VocabularySize
        && !tokenizer.IsSpecial(id)
        && Encoding.UTF8.GetString(tokenizer.GetBytes(id)) is var text
        && !text.Contains('\uFFFD')
            ? Trimmed(text)
            : null;

    /// <summary>The text of a token without the space before it, however that is written.</summary>
    static string Trimmed(string text) => Spaced(text).Trim();

    /// <summary>
    /// A text that was cut off may end within a character, of which the server shows U+FFFD, nothing, or with the token that it generates
    /// behind it all.
    /// </summary>
    static string Whole(string text) => text.TrimEnd('\uFFFD');

    static string Letters(string text) => string.Concat(text.Where(letter => !char.IsWhiteSpace(letter)));

    /// <summary>
    /// A token by its id, and one that stands for no text, such as a beginning of sequence, by its name too: text is not quoted.
    /// </summary>
    static string Name(ScoredToken token, Tokenizer? tokenizer)
    {
        var id =
            token.Id >= 0 ? token.Id
            : token.Text is { } text && tokenizer is not null && tokenizer.TryGetId(text, out var named) ? named
            : -1;
        return id >= 0 && id < tokenizer?.VocabularySize && tokenizer.IsSpecial(id) ? $"{id} \"{tokenizer.NameOf(id)}\""
            : token.Id >= 0 ? $"{id}"
            : token.Text is null ? "not named"
            : "another one";
    }
}

/// <summary>A server did not score the text that it was sent, or gave no valid logprobs for it.</summary>
/// <param name="problem">What the server did, as the rest of a sentence that its name begins.</param>
sealed class ScoreMisalignedException(string problem) : Exception(problem)
{
    /// <summary>True where it puts one token before the text and scores that rightly.</summary>
    public bool AddsFirst { get; init; }

    /// <summary>True where it says nothing about the text at all, as a server that does not know how.</summary>
    public bool IsOfNothing { get; init; }

    /// <summary>That token; −1 where it is not told.</summary>
    public int Added { get; init; } = -1;
}
