using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Training.Alignment;

/// <summary>
/// Turns traces of a teacher with another vocabulary into the student's tokens: the same
/// text, written again, with the soft targets that both can say.
/// </summary>
sealed class CrossVocabularyAligner
{
    readonly Tokenizer _teacher;
    readonly Tokenizer _student;
    readonly ChatSequence _chat;
    readonly VocabularyMap _map;
    readonly int? _topK;
    readonly TemperatureCorrection? _correction;

    /// <param name="teacher">The tokenizer that the traces' ids are of.</param>
    /// <param name="student">The student's.</param>
    /// <param name="chat">Writes the student's sequences.</param>
    /// <param name="topK">Alternatives to use of each of the teacher's tokens; null uses all.</param>
    /// <param name="correction">Undoes the temperature that logprobs are of.</param>
    /// <exception cref="InvalidInputException">The tokens of one of them have no bytes of their own.</exception>
    public CrossVocabularyAligner(
        Tokenizer teacher,
        Tokenizer student,
        ChatSequence chat,
        int? topK,
        TemperatureCorrection? correction = null
    )
    {
        foreach (var tokenizer in new[] { teacher, student })
        {
            if (!tokenizer.HasExactBytes)
            {
                throw new InvalidInputException(
                    $"{tokenizer.File}: its decoder makes text of several tokens together, so soft targets cannot be carried "
                        + "between it and another vocabulary; train with kd_alpha: 0, or take teacher and student of one vocabulary"
                );
            }
        }

        (_teacher, _student, _chat, _topK, _correction) = (teacher, student, chat, topK, correction);
        _map = new VocabularyMap(teacher, student, chat.EndOfSequence);
    }

    /// <summary>Soft-target coverage after alignment, over the traces so far.</summary>
    public AlignmentSurvival Survival { get; private set; }

    /// <summary>The training sequence of a trace that came to its end.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="logprobs">The teacher's logprobs of it.</param>
    /// <param name="counts">True where it counts in <see cref="Survival"/>.</param>
    public TraceTokens Align(Trace trace, TokenLogprobs logprobs, bool counts = true)
    {
        var (bytes, starts) = Spell(_teacher, logprobs.TokenIds);
        var marked = Unmark(bytes, starts);
        var text = CollectionsMarshal.AsSpan(bytes);
        if (!Utf8.IsValid(text))
        {
            return Hard(_chat.FromText(trace.Messages, trace.Generation), counts);
        }

        var (tokens, studentStarts) = _chat.FromTextWithStarts(trace.Messages, Encoding.UTF8.GetString(text));
        if (studentStarts is null)
        {
            return Hard(tokens, counts);
        }

        var targets = Targets(logprobs, bytes, starts, marked, tokens.Ids[tokens.FirstTrained..], studentStarts);
        Count(targets, tokens.Trained, counts);
        return tokens with { Soft = targets };
    }

    /// <summary>Soft targets for tokens that are there already and spell the same text, whatever cut it into them.</summary>
    /// <param name="trained">The student's tokens, an end last.</param>
    /// <param name="logprobs">The teacher's logprobs of the text.</param>
    /// <returns>A row for each token; null where the text is another one, or control tokens stand in it, whose place is not
    /// known.</returns>
    public ISoftTargetSource? Onto(int[] trained, TokenLogprobs logprobs)
    {
        if (trained is [] || !_chat.Ends.Contains(trained[^1]) || trained[..^1].Any(id => _student.IsSpecial(id)))
        {
            return null;
        }

        var (bytes, starts) = Spell(_teacher, logprobs.TokenIds);
        var marked = Unmark(bytes, starts);
        var (own, ownStarts) = Spell(_student, trained.AsSpan(..^1));
        ReadOnlySpan<byte> text = CollectionsMarshal.AsSpan(bytes),
            ownText = CollectionsMarshal.AsSpan(own);
        // A think tag may have been put before the text, or be the prompt's now; so may a tokenizer's space.
        var before = own.Count - bytes.Count;
        if (!(before >= 0 ? ownText.EndsWith(text) : text.EndsWith(ownText)))
        {
            return null;
        }

        var isMarked = before == 1 && own[0] == ' ' && _student.Prepends;
        int[] placed =
        [
            .. ownStarts.Select(start =>
                start >= before ? start - before
                : isMarked ? 0
                : -1
            ),
            bytes.Count, // the end is where the text ends
        ];
        return Targets(logprobs, bytes, starts, marked, trained, placed);
    }

    /// <summary>Counts what survived of a trace's soft targets.</summary>
    /// <param name="soft">Made here; null for none.</param>
    /// <param name="trained">Tokens of the sequence.</param>
    /// <param name="counts">False where nothing is to be counted.</param>
    public void Count(ISoftTargetSource? soft, int trained, bool counts)
    {
        if (counts)
        {
            var survival = new AlignmentSurvival(trained, 0, 0, 0);
            (soft as CrossVocabularyTargets)?.Read(out survival);
            Survival += survival;
        }
    }

    CrossVocabularyTargets Targets(TokenLogprobs logprobs, List<byte> text, int[] starts, int marked, int[] trained, int[] studentStarts)
    {
        var endsItself = logprobs.Count > 0 && _teacher.EndOfSequenceIds.Contains(logprobs.TokenIds[^1]);
        var rows = ByteAlignment.Align(endsItself ? starts : [.. starts, text.Count], studentStarts);
        var prefixed = Prefixed(trained, studentStarts, [.. text]);
        return new CrossVocabularyTargets(_map, logprobs, trained, rows, prefixed, _topK, _correction) { Unmarked = marked };
    }

    /// <summary>The bytes of some tokens, and where each starts, the end of the last behind them. Control tokens are no text.</summary>
    static (List<byte> Text, int[] Starts) Spell(Tokenizer tokenizer, ReadOnlySpan<int> ids)
    {
        var (text, starts) = (new List<byte>(), new int[ids.Length + 1]);
        for (var i = 0; i < ids.Length; i++)
        {
            text.AddRange(tokenizer.IsSpecial(ids[i]) ? [] : tokenizer.GetBytes(ids[i]));
            starts[i + 1] = text.Count;
        }

        return (text, starts);
    }

    /// <summary>A sequence that serves the hard loss alone.</summary>
    TraceTokens Hard(TraceTokens tokens, bool counts)
    {
        Count(soft: null, tokens.Trained, counts);
        return tokens;
    }

    /// <summary>
    /// Takes the space away that the teacher's tokenizer puts before a text: the student's puts
    /// one of its own there, or none, and would learn to begin its answers with a space.
    /// </summary>
    /// <returns>The token that it was taken from; −1 for none.</returns>
    int Unmark(List<byte> text, int[] starts)
    {
        if (!_teacher.Prepends || text.Count == 0 || text[0] != ' ')
        {
            return -1;
        }

        text.RemoveAt(0);
        var marked = Array.FindLastIndex(starts, start => start == 0);
        for (var i = marked + 1; i < starts.Length; i++)
        {
            starts[i]--;
        }

        return marked;
    }

    /// <summary>Returns for each token whether it, or what it begins, has a space before its text that the text has not.</summary>
    bool[] Prefixed(int[] tokens, int[] starts, ReadOnlySpan<byte> text)
    {
        var prefixed = new bool[tokens.Length];
        for (var j = 0; j < tokens.Length && _student.Prepends; j++)
        {
            var bytes = _student.GetBytes(tokens[j]);
            prefixed[j] =
                starts[j] >= 0
                && !_student.IsSpecial(tokens[j])
                && bytes.Length == starts[j + 1] - starts[j] + 1
                && bytes[0] == ' '
                && bytes[1..].SequenceEqual(text[starts[j]..starts[j + 1]]);
        }

        return prefixed;
    }
}
