using System.Globalization;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Alignment;

/// <summary>
/// Turns traces into the student's tokens. Ids of the student's own vocabulary, reported by the teacher or found through its
/// tokens' bytes, and their soft targets are taken as they are; a teacher with another vocabulary is aligned by the bytes of its
/// tokens; text gives tokens of the student's making and the hard loss alone. Token strings are never encoded again to get ids.
/// </summary>
public sealed class TokenAligner
{
    readonly Tokenizer _tokenizer;
    readonly Tokenizer _teacher;
    readonly ChatSequence _chat;
    readonly DatasetDescription _dataset;
    readonly string _origin;
    readonly SameVocabularyAligner? _sameVocabulary;
    readonly CrossVocabularyAligner? _crossVocabulary;
    readonly Lazy<CrossVocabularyAligner?> _byBytes;

    /// <param name="tokenizer">The student's.</param>
    /// <param name="chat">Writes prompts in the student's template.</param>
    /// <param name="dataset">The shards' facts about their tokens.</param>
    /// <param name="origin">Names the traces in errors.</param>
    /// <param name="topK">Soft targets to keep of each token; null keeps all.</param>
    /// <param name="teacher">The tokenizer that the traces' ids are of; the student's where it is not known.</param>
    public TokenAligner(
        Tokenizer tokenizer,
        ChatSequence chat,
        DatasetDescription dataset,
        string origin,
        int? topK,
        Tokenizer? teacher = null
    )
    {
        _tokenizer = tokenizer;
        _teacher = teacher ?? tokenizer;
        _chat = chat;
        _dataset = dataset;
        _origin = origin;
        var correction = TemperatureCorrection.For(dataset, _teacher.VocabularySize);
        if (tokenizer.Extends(_teacher))
        {
            _sameVocabulary = new SameVocabularyAligner(tokenizer, chat, dataset, _teacher.EndOfSequenceIds, topK, correction);
        }
        else
        {
            _crossVocabulary = new CrossVocabularyAligner(_teacher, tokenizer, chat, topK, correction);
        }

        _byBytes = new Lazy<CrossVocabularyAligner?>(() =>
            _crossVocabulary
            ?? (
                _teacher.HasExactBytes && tokenizer.HasExactBytes
                    ? new CrossVocabularyAligner(_teacher, tokenizer, chat, topK, correction)
                    : null
            )
        );
    }

    /// <summary>
    /// Soft-target coverage after alignment, over the traces so far; null where teacher and student share a vocabulary and nothing is
    /// lost.
    /// </summary>
    public AlignmentSurvival? Survival => _crossVocabulary?.Survival;

    /// <summary>Pictures of the problems, where the student is asked by them; null where it reads.</summary>
    public ProblemPictures? Pictures => _chat.Pictures;

    /// <summary>The training sequence of a trace that came to its end: prompt, completion, end-of-sequence.</summary>
    /// <param name="trace">One of the data set's.</param>
    /// <param name="addsEnd">
    /// True where an end that the server kept to itself is added; of a trace cut off by a limit there is none to add.
    /// </param>
    /// <param name="counts">
    /// True where what <see cref="Survival"/> and <see cref="DescribeTemplates"/> tell is counted,
    /// which takes time and one thread; without it several threads may call at once.
    /// </param>
    /// <exception cref="InvalidInputException">The ids are not the student's, or it looks at pictures and there is none.</exception>
    public TraceTokens Align(Trace trace, bool addsEnd = true, bool counts = true)
    {
        if (_chat.Pictures is { } pictures)
        {
            EnsureKnown(trace, trace.PromptTokenIds);
            return AlignText(pictures.Ask(trace), addsEnd, counts) with { Picture = pictures.Of(trace.ProblemId) };
        }

        return AlignText(trace, addsEnd, counts);
    }

    TraceTokens AlignText(Trace trace, bool addsEnd, bool counts)
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

        var aligned = _crossVocabulary?.Align(trace, logprobs, counts) ?? _sameVocabulary!.Align(trace, logprobs, addsEnd, counts);
        return aligned with { AreDraws = _dataset.SampledLogprobs is not null };
    }

    /// <summary>The soft targets of a trace for a sequence of the same text that is there already: those of a further teacher.</summary>
    /// <param name="sequence">The student's, made of another teacher's trace.</param>
    /// <param name="trace">One of the data set's.</param>
    /// <param name="counts">As for <see cref="Align"/>.</param>
    /// <returns>A row for each trained token; null where there are none, or the text cannot be brought together.</returns>
    /// <exception cref="InvalidInputException">The ids are not the teacher's.</exception>
    public ISoftTargetSource? AlignTo(TraceTokens sequence, Trace trace, bool counts = true)
    {
        ISoftTargetSource? soft = null;
        if (_dataset.TokenIdentity != TokenIdentity.Text && trace.Logprobs is { } logprobs)
        {
            var (own, trained) = (Align(trace, counts: false), sequence.Ids[sequence.FirstTrained..]);
            soft = own.Ids.AsSpan(own.FirstTrained).SequenceEqual(trained) ? own.Soft : _byBytes.Value?.Onto(trained, logprobs);
        }

        _crossVocabulary?.Count(soft, sequence.Trained, counts);
        return soft;
    }

    /// <summary>One line that tells how prompts and ends of the traces so far became the student's.</summary>
    public string DescribeTemplates()
    {
        if (_sameVocabulary is null || _dataset.TokenIdentity == TokenIdentity.Text)
        {
            return $"chat template: prompts and ends are the student's own, ending with {Name(_chat.EndOfSequence)}";
        }

        var changes = _sameVocabulary.Changes;
        var same = _dataset.ChatTemplateHash == _chat.TemplateHash;
        string?[] parts =
        [
            same ? "chat template: the student's is the teacher's, prompts stay as they were"
            : changes.Rendered == 0 ? "chat template: the student's writes the prompts as the teacher's did"
            : "chat template: the student's is "
                + $"{(_dataset.ChatTemplateHash is null ? "used, for the teacher's is not known" : "another than the teacher's")}, "
                + $"{Counted.Of(changes.Rendered, "prompt")} rendered with it",
            changes.TagsLeftOut > 0
                ? $"{ReasoningSplitter.Open} is left out of {Counted.Of(changes.TagsLeftOut, "completion")}, since the prompt writes it now"
                : null,
            changes.TagsAdded > 0
                ? $"a think tag is put before {Counted.Of(changes.TagsAdded, "completion")}, for the student to write itself"
                : null,
            changes.ByBytes > 0 ? $"{Counted.Of(changes.ByBytes, "completion")} tokenized anew, since the tag ends within a token" : null,
            changes.EndsReplaced > 0
                ? $"{Name(_chat.EndOfSequence)} ends {Counted.Of(changes.EndsReplaced, "completion")} "
                    + $"in place of {Name(changes.ReplacedEnd!.Value)}"
                : $"completions end with {Name(_chat.EndOfSequence)}",
        ];
        return string.Join("; ", parts.OfType<string>());
    }

    /// <summary>
    /// A line for each way in which the soft targets are not what the teacher's server
    /// reported, or not the teacher's own; none where they are both.
    /// </summary>
    public IEnumerable<string> DescribeLogprobs()
    {
        if (_dataset is { TopK: > 0, Logprobs: LogprobKind.Processed, Temperature: not 1 and var temperature })
        {
            yield return temperature > 0
                ? string.Create(
                    CultureInfo.InvariantCulture,
                    $"soft targets: reported after temperature {temperature}, which is undone; "
                        + $"exact among the alternatives, estimated for the probability outside them"
                )
                : "soft targets: collected at temperature 0, at which servers scale nothing; taken as they were reported";
        }

        if (_dataset.SampledLogprobs is { } draws)
        {
            yield return $"soft targets: {draws} draws of each token; KL to them is larger than to the teacher's distributions, "
                + "by as much for every student";
        }

        if (SamplingDistortions.Warning(_dataset) is { } warning)
        {
            yield return warning;
        }
    }

    string Name(int id) => _tokenizer.NameOf(id) ?? $"token {id}";

    void EnsureKnown(Trace trace, int[] ids)
    {
        var unknown = Array.FindIndex(ids, id => id < 0 || id >= _teacher.VocabularySize);
        if (unknown >= 0)
        {
            throw new InvalidInputException(
                $"{_origin}: trace {trace.Id} has token id {ids[unknown]}, and the vocabulary ends "
                    + $"at {_teacher.VocabularySize - 1}; name the teacher's own with teacher_tokenizer"
            );
        }
    }

    /// <summary>A teacher that does not tell its tokenizer is believed where its ids spell its text.</summary>
    void EnsureSameText(Trace trace, TokenLogprobs logprobs)
    {
        var ends =
            logprobs.Count > 0
            && (
                _teacher.EndOfSequenceIds.Contains(logprobs.TokenIds[^1])
                || (_sameVocabulary is not null && _chat.Ends.Contains(logprobs.TokenIds[^1]))
            );
        if (
            Letters(_teacher.Decode(logprobs.TokenIds.AsSpan(0, logprobs.Count - (ends ? 1 : 0)), skipSpecialTokens: true))
            != Letters(trace.Generation)
        )
        {
            throw new InvalidInputException(
                $"{_origin}: the token ids of trace {trace.Id} do not spell its text in this vocabulary; "
                    + "name the tokenizer that the teacher has with teacher_tokenizer"
            );
        }
    }

    /// <summary>
    /// The letters of a text, which are left when a server has taken reasoning and answer apart: tags and the space around them are not to
    /// be had back.
    /// </summary>
    static string Letters(string text) =>
        string.Concat(
            text.Replace(ReasoningSplitter.Open, "").Replace(ReasoningSplitter.Close, "").Where(letter => !char.IsWhiteSpace(letter))
        );
}
