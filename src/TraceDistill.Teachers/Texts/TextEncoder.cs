using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Texts;

/// <summary>Makes of a trace what its scoring teacher is sent: the teacher's tokens, and which of them are scored.</summary>
/// <remarks>
/// Where the writer had the teacher's tokenizer and chat template, the tokens are the writer's own: what it read and what it drew. Behind
/// another template of the same vocabulary the drawn tokens stay. Else the text is written in the teacher's tokens, and has to read as it
/// did. The end of the sequence is scored where the writer ended by itself, and no end is put where it was cut off.
/// </remarks>
/// <param name="tokenizer">The teacher's.</param>
/// <param name="templateHash">Of the teacher's chat template.</param>
/// <param name="write">Writes text in the teacher's tokens.</param>
/// <param name="source">Facts of the traces; null where they have none, as worked solutions.</param>
sealed class TextEncoder(Tokenizer tokenizer, string templateHash, TeacherTextWriter write, DatasetDescription? source)
{
    /// <summary>True where the teacher's server is sent text, which it has to read in the tokens that are scored.</summary>
    public bool IsSentAsText { get; init; }

    /// <summary>True where that text goes without its first token, which the server puts before it.</summary>
    public bool LeavesOutFirst { get; init; }

    /// <summary>Writes what the teacher reads before the text in place of its own prompt.</summary>
    /// <value>Null: its own prompt.</value>
    public Func<Trace, IReadOnlyList<ChatMessage>>? Context { get; init; }

    /// <summary>The tokens of a text's own prompt, which stand with its scores and are what a student reads.</summary>
    /// <param name="trace">A text that was encoded.</param>
    /// <param name="request">What <see cref="Encode"/> made of it.</param>
    public int[] PromptOf(Trace trace, ScoringRequest request)
    {
        if (Context is null)
        {
            return request.Tokens[..request.First];
        }

        var (ids, first) = Tokens(trace, DrawnIds(trace));
        return ids[..first];
    }

    /// <exception cref="UnscorableTextException">There is no text, or the teacher's tokenizer writes another one.</exception>
    public ScoringRequest Encode(Trace trace, int topLogprobs)
    {
        var ids = DrawnIds(trace);
        if (trace.Generation.Length == 0 && ids is null or [])
        {
            throw new UnscorableTextException("without text", $"trace {trace.Id}: has no text to be scored");
        }

        // Neither the call nor the tools that were offered are part of what can be written anew.
        if (trace.ToolCalls is not null && !IsAsRead(trace, ids))
        {
            throw new UnscorableTextException(
                "with calls of tools, whose tokens are not known",
                $"trace {trace.Id}: calls tools, and the tokens of that are not known"
            );
        }

        try
        {
            var (all, first) = Behind(trace, Tokens(trace, ids));
            var sent = LeavesOutFirst ? all[1..] : all;
            if (IsSentAsText && !tokenizer.Encode(tokenizer.Decode(sent)).AsSpan().SequenceEqual(sent))
            {
                throw new UnscorableTextException(
                    "in other tokens than the teacher's server reads their text in",
                    $"trace {trace.Id}: its tokens are not those of its text, which is all that the server takes"
                );
            }

            return new ScoringRequest(trace.Id, all, first, topLogprobs);
        }
        catch (InvalidInputException e) when (e is not UnscorableTextException)
        {
            throw new UnscorableTextException("refused by the teacher's chat template", $"trace {trace.Id}: {e.Message}", e);
        }
    }

    /// <summary>The ids that the writer drew, where they are the teacher's.</summary>
    int[]? DrawnIds(Trace trace) =>
        source is { TokenIdentity: not TokenIdentity.Text } && source.TokenizerHash == tokenizer.Hash ? trace.Logprobs?.TokenIds : null;

    /// <summary>The same text behind what the teacher reads in place of its prompt.</summary>
    TeacherText Behind(Trace trace, TeacherText own)
    {
        if (Context is null)
        {
            return own;
        }

        var (written, first) = write(Context(trace), trace.Generation);
        return new TeacherText([.. written.AsSpan(0, first), .. own.Ids.AsSpan(own.First)], first);
    }

    TeacherText Tokens(Trace trace, int[]? ids)
    {
        if (ids is not null && IsAsRead(trace, ids))
        {
            return new TeacherText([.. trace.PromptTokenIds, .. Ended(trace, ids)], trace.PromptTokenIds.Length);
        }

        var (written, first) = write(trace.Messages, trace.Generation);
        var answer = written[first..^1];
        if (ids is not null && tokenizer.Decode(WithoutEnd(ids)) == tokenizer.Decode(answer))
        {
            return new TeacherText([.. written[..first], .. Ended(trace, ids, written[^1])], first);
        }

        var text = tokenizer.Decode(answer);
        return
            // A think tag may have been put before the answer, or be the prompt's now.
            text.EndsWith(trace.Generation, StringComparison.Ordinal)
            || (text.Length > 0 && trace.Generation.EndsWith(text, StringComparison.Ordinal) && IsTag(trace.Generation[..^text.Length]))
            ? new TeacherText(IsEnded(trace) ? written : written[..^1], first)
            : throw new UnscorableTextException(
                "written otherwise by the teacher's tokenizer",
                $"trace {trace.Id}: the teacher's tokenizer does not write its text as it is"
            );
    }

    /// <summary>Returns whether the writer's own tokens, its prompt's included, are what the teacher would have read.</summary>
    bool IsAsRead(Trace trace, int[]? ids) =>
        ids is not null && trace.PromptTokenIds.Length > 0 && (source?.ChatTemplateHash is null || source.ChatTemplateHash == templateHash);

    /// <summary>Returns whether what stands before an answer is space or a think tag.</summary>
    static bool IsTag(string before) => before.Trim() is "" or Text.Chat.ReasoningSplitter.Open;

    static bool IsEnded(Trace trace) => FinishReasons.IsNatural(trace.FinishReason);

    int[] WithoutEnd(int[] ids) => ids.Length > 0 && tokenizer.EndOfSequenceIds.Contains(ids[^1]) ? ids[..^1] : ids;

    /// <summary>The tokens drawn; some servers keep the one that ended them to themselves.</summary>
    int[] Ended(Trace trace, int[] ids, int? end = null) =>
        !IsEnded(trace) || (ids.Length > 0 && (tokenizer.EndOfSequenceIds.Contains(ids[^1]) || tokenizer.IsSpecial(ids[^1])))
            ? ids
            : [.. ids, end ?? write(trace.Messages, trace.Generation).Ids[^1]];
}
