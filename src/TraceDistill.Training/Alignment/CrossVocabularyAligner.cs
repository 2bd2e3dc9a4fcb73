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
        var starts = new int[logprobs.Count + 1];
        var bytes = new List<byte>();
        for (var i = 0; i < logprobs.Count; i++)
        {
            // Control tokens are no text.
            bytes.AddRange(_teacher.IsSpecial(logprobs.TokenIds[i]) ? [] : _teacher.GetBytes(logprobs.TokenIds[i]));
            starts[i + 1] = bytes.Count;
        }

        var marked = Unmark(bytes, starts);
        var text = CollectionsMarshal.AsSpan(bytes);
        if (!Utf8.IsValid(text))
        {
            return Hard(_chat.FromText(trace.Messages, trace.Generation), counts);
        }

        var endsItself = logprobs.Count > 0 && _teacher.EndOfSequenceIds.Contains(logprobs.TokenIds[^1]);
        var (tokens, studentStarts) = _chat.FromTextWithStarts(trace.Messages, Encoding.UTF8.GetString(text));
        if (studentStarts is null)
        {
            return Hard(tokens, counts);
        }

        var rows = ByteAlignment.Align(endsItself ? starts : [.. starts, bytes.Count], studentStarts);
        var trained = tokens.Ids[tokens.FirstTrained..];
        var targets = new CrossVocabularyTargets(
            _map,
            logprobs,
            trained,
            rows,
            Prefixed(trained, studentStarts, [.. bytes]),
            _topK,
            _correction
        )
        {
            Unmarked = marked,
        };
        if (counts)
        {
            targets.Read(out var survival);
            Survival += survival;
        }

        return tokens with
        {
            Soft = targets,
        };
    }

    /// <summary>A sequence that serves the hard loss alone.</summary>
    TraceTokens Hard(TraceTokens tokens, bool counts)
    {
        if (counts)
        {
            Survival += new AlignmentSurvival(tokens.Trained, 0, 0, 0);
        }

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
