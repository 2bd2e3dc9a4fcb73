using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Chat;

namespace TraceDistill.Teachers.Connector;

/// <summary>Parts text into reasoning and answer while it comes, as <see cref="ReasoningSplitter"/> parts a whole generation.</summary>
/// <remarks>
/// Text that may be the beginning of a mark is held back until the next piece decides. The channels of
/// harmony are distinguished only at the end. What the whole generation alone shows (a closing mark
/// without an opening one, in a prompt that was not known to end within the reasoning) comes as answer.
/// </remarks>
/// <param name="markers">The model's marks around its reasoning; null where they are not known.</param>
/// <param name="isOpened">True where prompts end within the reasoning.</param>
/// <param name="told">Invoked with each stretch of text, never with an empty one.</param>
sealed class StreamedReasoning(ReasoningMarkers? markers, bool isOpened, Action<StreamedText> told)
{
    readonly IReadOnlyList<ReasoningMarkers> _candidates = markers is null ? ReasoningMarkers.Known : [markers, .. ReasoningMarkers.Known];
    ReasoningMarkers _markers = markers ?? ReasoningMarkers.Think;
    State _state = markers == ReasoningMarkers.Harmony ? State.AtTheEnd : State.Start;
    string _held = "";
    bool _hasReasoning;
    bool _hasAnswer;

    /// <summary>Where the text is that comes next.</summary>
    enum State
    {
        /// <summary>Before the first mark, or the first text that is none.</summary>
        Start,

        Reasoning,

        /// <summary>Behind reasoning that the model closed: it may open another block.</summary>
        Answer,

        /// <summary>In an answer without marks, or of a server that tells the reasoning apart itself.</summary>
        Plain,

        /// <summary>Nothing is told before the whole is there.</summary>
        AtTheEnd,
    }

    /// <summary>Takes what one event of the stream says.</summary>
    public void Add(StreamedText piece)
    {
        if (!string.IsNullOrEmpty(piece.Reasoning))
        {
            _state = State.Plain;
            TellReasoning(piece.Reasoning);
        }

        if (string.IsNullOrEmpty(piece.Content) || _state == State.AtTheEnd)
        {
            return;
        }

        _held += piece.Content;
        while (TryAdvance()) { }
    }

    /// <summary>Tells what is left, and of an answer that came as a whole, all of it.</summary>
    public void End(GenerationResult whole)
    {
        if (_state is State.Reasoning)
        {
            TellReasoning(_held);
        }
        else if (_state is not State.AtTheEnd)
        {
            TellAnswer(_held);
        }

        if (!_hasReasoning && !_hasAnswer)
        {
            TellReasoning(whole.Reasoning);
            TellAnswer(whole.Answer);
        }
    }

    /// <summary>Tells the text up to the next mark.</summary>
    /// <returns>False where more is needed to go on.</returns>
    bool TryAdvance()
    {
        switch (_state)
        {
            case State.Start:
                return TryStart();
            case State.Plain:
                TellAnswer(_held);
                _held = "";
                return false;
            case var state:
                var mark = state == State.Reasoning ? _markers.Close : _markers.Open;
                var end = _held.IndexOf(mark, StringComparison.Ordinal);
                var certain = end >= 0 ? end : _held.Length - Beginning(_held, mark);
                (state == State.Reasoning ? TellReasoning : (Action<string>)TellAnswer)(_held[..certain]);
                _held = _held[(end >= 0 ? end + mark.Length : certain)..];
                _state =
                    end < 0 ? state
                    : state == State.Reasoning ? State.Answer
                    : State.Reasoning;
                return end >= 0;
        }
    }

    bool TryStart()
    {
        _held = _held.TrimStart();
        if (_candidates.FirstOrDefault(one => _held.StartsWith(one.Open, StringComparison.Ordinal)) is { } found)
        {
            (_markers, _held) = (found, _held[found.Open.Length..]);
            _state = found == ReasoningMarkers.Harmony ? State.AtTheEnd : State.Reasoning;
            return _state == State.Reasoning;
        }

        if (_candidates.Any(one => one.Open.StartsWith(_held, StringComparison.Ordinal)))
        {
            return false;
        }

        _state = isOpened ? State.Reasoning : State.Plain;
        return true;
    }

    /// <summary>Number of characters at the end of a text that may be the beginning of a mark.</summary>
    static int Beginning(string text, string mark)
    {
        for (var length = Math.Min(text.Length, mark.Length - 1); length > 0; length--)
        {
            if (text.AsSpan(text.Length - length).SequenceEqual(mark.AsSpan(0, length)))
            {
                return length;
            }
        }

        return 0;
    }

    /// <summary>As in a whole generation, neither part begins with white space.</summary>
    void TellReasoning(string text)
    {
        if ((_hasReasoning ? text : text.TrimStart()) is { Length: > 0 } rest)
        {
            _hasReasoning = true;
            told(new StreamedText(Content: null, rest));
        }
    }

    void TellAnswer(string text)
    {
        if ((_hasAnswer ? text : text.TrimStart()) is { Length: > 0 } rest)
        {
            _hasAnswer = true;
            told(new StreamedText(rest, Reasoning: null));
        }
    }
}
