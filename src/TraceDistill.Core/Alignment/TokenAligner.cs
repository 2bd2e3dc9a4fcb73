using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Tokenization;
using TraceDistill.Core.Traces;

namespace TraceDistill.Core.Alignment;

/// <summary>
/// Turns traces into the student's tokens. Ids of the student's own vocabulary, reported by the teacher or found through its tokens' bytes, and
/// their soft targets are taken as they are; a teacher with another vocabulary is aligned by the bytes of its tokens; text gives tokens of the student's
/// making and the hard loss alone. Token strings are never encoded again to get ids.
/// </summary>
public sealed class TokenAligner
{
    readonly Tokenizer _tokenizer;
    readonly Tokenizer _teacher;
    readonly ChatSequence _chat;
    readonly DatasetDescription _dataset;
    readonly string _origin;
    readonly int? _topK;
    readonly CrossVocabularyAligner? _crossVocabulary;

    /// <param name="tokenizer">The student's.</param>
    /// <param name="chat">Writes prompts in the student's template.</param>
    /// <param name="dataset">What the shards say of their tokens.</param>
    /// <param name="origin">Names the traces in errors.</param>
    /// <param name="topK">Soft targets to keep of each token; null keeps all.</param>
    /// <param name="teacher">The tokenizer that the traces' ids are of, where it is not the student's.</param>
    public TokenAligner(Tokenizer tokenizer, ChatSequence chat, DatasetDescription dataset, string origin, int? topK, Tokenizer? teacher = null)
    {
        _tokenizer = tokenizer;
        _teacher = teacher ?? tokenizer;
        _chat = chat;
        _dataset = dataset;
        _origin = origin;
        _topK = topK;
        _crossVocabulary = teacher is null ? null : new CrossVocabularyAligner(teacher, tokenizer, chat, topK);
    }

    /// <summary>What is left of the soft targets of the traces so far; null where teacher and student share a vocabulary and nothing is lost.</summary>
    public AlignmentSurvival? Survival => _crossVocabulary?.Survival;

    /// <summary>The training sequence of a trace that came to its end: prompt, completion, end-of-sequence.</summary>
    /// <exception cref="InvalidInputException">The ids are not the student's.</exception>
    public TraceTokens Align(Trace trace)
    {
        if (_dataset.TokenIdentity == TokenIdentity.Text || trace.Logprobs is not { } logprobs)
        {
            return _chat.FromText(trace.Messages, trace.Generation);
        }

        EnsureKnown(trace, trace.PromptTokenIds);
        EnsureKnown(trace, logprobs.TokenIds);
        if (_dataset.TokenizerHash is null)
        {
            EnsureSameText(trace, logprobs);
        }

        if (_crossVocabulary is not null)
        {
            return _crossVocabulary.Align(trace, logprobs);
        }

        // Some servers keep the end-of-sequence token to themselves.
        int? end = EndsItself(logprobs) ? null : _chat.EndOfSequence;
        int[] completion = end is { } id ? [.. logprobs.TokenIds, id] : logprobs.TokenIds;
        var prompt = trace.PromptTokenIds.Length > 0 ? trace.PromptTokenIds : _chat.Prompt(trace.Messages);
        return new TraceTokens([.. prompt, .. completion], prompt.Length, EncodedSoftTargets.From(logprobs, _topK, _tokenizer.VocabularySize, end));
    }

    bool EndsItself(TokenLogprobs logprobs) =>
        logprobs.Count > 0 && (_teacher.EndOfSequenceIds.Contains(logprobs.TokenIds[^1]) || (_crossVocabulary is null && logprobs.TokenIds[^1] == _chat.EndOfSequence));

    void EnsureKnown(Trace trace, int[] ids)
    {
        var unknown = Array.FindIndex(ids, id => id < 0 || id >= _teacher.VocabularySize);
        if (unknown >= 0)
        {
            throw new InvalidInputException(
                $"{_origin}: trace {trace.Id} has token id {ids[unknown]}, and the vocabulary ends at {_teacher.VocabularySize - 1}; name the teacher's own with teacher_tokenizer");
        }
    }

    /// <summary>A teacher that does not tell its tokenizer is believed where its ids spell its text.</summary>
    void EnsureSameText(Trace trace, TokenLogprobs logprobs)
    {
        var text = logprobs.TokenIds.AsSpan(0, logprobs.Count - (EndsItself(logprobs) ? 1 : 0));
        if (Letters(_teacher.Decode(text, skipSpecialTokens: true)) != Letters(trace.Generation))
        {
            throw new InvalidInputException(
                $"{_origin}: the token ids of trace {trace.Id} do not spell its text in this vocabulary; name the tokenizer that the teacher has with teacher_tokenizer");
        }
    }

    /// <summary>What is left of a text when a server has taken reasoning and answer apart: tags and the space around them are not to be had back.</summary>
    static string Letters(string text) => string.Concat(
        text.Replace(ReasoningSplitter.Open, "").Replace(ReasoningSplitter.Close, "").Where(letter => !char.IsWhiteSpace(letter)));
}
