using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Connector;

/// <summary>Progress of an answer: told while it comes, and asked when it breaks off.</summary>
/// <param name="received">Invoked once the whole answer is there, before it is parsed.</param>
/// <param name="told">Invoked with the text as it comes, which makes the answer a streamed one; null where nobody reads along.</param>
sealed class AnswerProgress(Action received, Action<StreamedText>? told = null)
{
    int _pieces;

    /// <summary>Invoked with the text as it comes, reasoning and answer told apart; null where nobody reads along.</summary>
    public Action<StreamedText>? Told => told;

    /// <summary>Pieces with text that a streamed answer came in so far: each is a token, or a few.</summary>
    public int Pieces => Volatile.Read(ref _pieces);

    public void CountPiece() => Interlocked.Increment(ref _pieces);

    public void Received() => received();
}
