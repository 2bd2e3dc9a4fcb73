using System.Text;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Alignment;

/// <summary>
/// Turns traces whose ids are the student's own into its sequences: ids and soft targets stay
/// on the completion; prompt, think tags and end are the student's.
/// </summary>
/// <remarks>
/// Behind the teacher's very template the prompt stays as the teacher had it. Behind another one the student is prompted as it will
/// be served, and of the completion only what the two templates divide otherwise between prompt and answer changes: an opening think
/// tag that the student's prompt writes goes, one that the teacher's prompt wrote is the student's to write (by the hard loss, for
/// the teacher never drew it), and so is the closing one where the student's prompt opens reasoning and the teacher wrote none.
/// </remarks>
sealed class SameVocabularyAligner
{
    readonly Tokenizer _tokenizer;
    readonly ChatSequence _chat;
    readonly bool _sameTemplate;
    readonly IReadOnlySet<int> _teacherEnds;
    readonly HashSet<int> _replacedEnds;
    readonly SoftTargetChanges _changes;
    readonly Lazy<CrossVocabularyAligner> _byBytes;

    /// <param name="tokenizer">The student's.</param>
    /// <param name="chat">Writes the student's prompts.</param>
    /// <param name="dataset">The shards' facts about their template.</param>
    /// <param name="teacherEnds">Tokens that end the teacher's generations.</param>
    /// <param name="topK">Soft targets to keep of each token; null keeps all.</param>
    /// <param name="correction">Undoes the temperature that logprobs are of.</param>
    public SameVocabularyAligner(
        Tokenizer tokenizer,
        ChatSequence chat,
        DatasetDescription dataset,
        IReadOnlySet<int> teacherEnds,
        int? topK,
        TemperatureCorrection? correction
    )
    {
        (_tokenizer, _chat, _teacherEnds) = (tokenizer, chat, teacherEnds);
        _sameTemplate = dataset.ChatTemplateHash == chat.TemplateHash;
        _replacedEnds = [.. teacherEnds.Except(chat.Ends)];
        _changes = new SoftTargetChanges
        {
            K = topK,
            VocabularySize = tokenizer.VocabularySize,
            End = chat.EndOfSequence,
            Correction = correction,
        };
        _byBytes = new Lazy<CrossVocabularyAligner>(() => new CrossVocabularyAligner(tokenizer, tokenizer, chat, topK, correction));
    }

    /// <summary>Changes so far.</summary>
    public TemplateChanges Changes { get; private set; } = new();

    /// <summary>The training sequence of a trace.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="logprobs">The teacher's logprobs of it.</param>
    /// <param name="addsEnd">True where an end that the server kept to itself is added.</param>
    /// <param name="counts">True where it counts in <see cref="Changes"/>.</param>
    public TraceTokens Align(Trace trace, TokenLogprobs logprobs, bool addsEnd, bool counts)
    {
        int[] prompt = trace.PromptTokenIds,
            added = [];
        var skipped = 0;
        if (prompt.Length == 0 || !_sameTemplate)
        {
            prompt = _chat.Prompt(trace.Messages, out var opensReasoning);
            if (!_sameTemplate && !prompt.AsSpan().SequenceEqual(trace.PromptTokenIds))
            {
                if (Continue(trace, logprobs, opensReasoning) is not var (begin, left))
                {
                    Count(counts, new TemplateChanges { Rendered = 1, ByBytes = 1 });
                    return _byBytes.Value.Align(trace, logprobs, counts: false);
                }

                (added, skipped) = (begin, left);
                Count(
                    counts,
                    new TemplateChanges
                    {
                        Rendered = 1,
                        TagsLeftOut = left > 0 ? 1 : 0,
                        TagsAdded = begin.Length > 0 ? 1 : 0,
                    }
                );
            }
        }

        var (completion, changes) = End(logprobs, addsEnd, counts);
        int[] written = [.. added, .. completion.AsSpan(skipped)];
        return new TraceTokens(
            [.. prompt, .. written],
            prompt.Length,
            EncodedSoftTargets.From(logprobs, changes with { Skipped = skipped, Untold = added.Length })
        );
    }

    /// <summary>The completion with the student's end, and what that does to the soft targets.</summary>
    (int[] Completion, SoftTargetChanges Changes) End(TokenLogprobs logprobs, bool addsEnd, bool counts)
    {
        var changes = _changes with { ReplacedEnds = _replacedEnds };
        if (
            logprobs.Count == 0
            || logprobs.TokenIds[^1] is var last
                && !_chat.Ends.Contains(last)
                && !_teacherEnds.Contains(last)
                && !_tokenizer.IsSpecial(last)
        )
        {
            // Some servers keep the end-of-sequence token to themselves.
            return !addsEnd
                ? (logprobs.TokenIds, changes)
                : ([.. logprobs.TokenIds, _chat.EndOfSequence], changes with { EndFollows = true });
        }

        last = logprobs.TokenIds[^1];
        if (_chat.Ends.Contains(last))
        {
            return (logprobs.TokenIds, changes);
        }

        Count(counts, new TemplateChanges { EndsReplaced = 1, ReplacedEnd = last });
        return (
            [.. logprobs.TokenIds.AsSpan(0, logprobs.Count - 1), _chat.EndOfSequence],
            changes with
            {
                ReplacedEnds = _replacedEnds.Append(last).ToHashSet(),
            }
        );
    }

    void Count(bool counts, TemplateChanges changes)
    {
        if (counts)
        {
            Changes += changes;
        }
    }

    /// <summary>The part of the completion that the student writes behind its own prompt.</summary>
    /// <returns>Tokens put before it and how many of its own go; null where a tag does not end where a token does.</returns>
    (int[] Added, int Skipped)? Continue(Trace trace, TokenLogprobs logprobs, bool opensReasoning)
    {
        var text = _tokenizer.Decode(logprobs.TokenIds);
        var isOpened = text.AsSpan().TrimStart().StartsWith(ReasoningSplitter.Open, StringComparison.Ordinal);
        var isClosed = text.Contains(ReasoningSplitter.Close, StringComparison.Ordinal);
        return (opensReasoning, isOpened) switch
        {
            (true, true) => BehindTag(logprobs.TokenIds) is { } behind ? ([], behind) : null,
            (true, false) when !isClosed => (_tokenizer.EncodeWithin(ChatSequence.EmptyReasoning), 0),
            (false, false) when isClosed => (OpenedBy(trace.PromptTokenIds), 0),
            _ => ([], 0),
        };
    }

    /// <summary>
    /// The first token behind the opening tag and the line breaks after it, which are the
    /// template's too; null where the tag ends within a token.
    /// </summary>
    int? BehindTag(int[] ids)
    {
        var (bytes, tag) = (new List<byte>(), Encoding.UTF8.GetBytes(ReasoningSplitter.Open));
        for (var i = 0; i < ids.Length; i++)
        {
            bytes.AddRange(_tokenizer.GetBytes(ids[i]));
            var said = Encoding.UTF8.GetString([.. bytes]).TrimStart();
            if (said.Length < tag.Length)
            {
                continue;
            }

            if (said != ReasoningSplitter.Open)
            {
                return null;
            }

            for (i++; i < ids.Length && IsLineBreaks(_tokenizer.GetBytes(ids[i])); i++) { }

            return i;
        }

        return null;
    }

    static bool IsLineBreaks(ReadOnlySpan<byte> bytes) => bytes.Length > 0 && bytes.IndexOfAnyExcept((byte)'\n', (byte)'\r') < 0;

    /// <summary>
    /// The opening tag and the space behind it as the teacher's prompt has them, token for token; of an unknown prompt the tag alone.
    /// </summary>
    int[] OpenedBy(int[] prompt)
    {
        for (var start = prompt.Length - 1; start >= 0 && start >= prompt.Length - 16; start--)
        {
            var tail = _tokenizer.Decode(prompt.AsSpan(start));
            if (tail.TrimEnd() == ReasoningSplitter.Open)
            {
                return prompt[start..];
            }
        }

        return _tokenizer.EncodeWithin(ReasoningSplitter.Open);
    }
}
