namespace TraceDistill.Teachers.Connector;

/// <summary>How much of an answer has come: told while it comes, and asked when it breaks off.</summary>
/// <param name="received">Invoked once the whole answer is there, before it is made sense of.</param>
sealed class AnswerProgress(Action received)
{
    int _pieces;

    /// <summary>Pieces with text that a streamed answer came in so far: each is a token, or a few.</summary>
    public int Pieces => Volatile.Read(ref _pieces);

    public void CountPiece() => Interlocked.Increment(ref _pieces);

    public void Received() => received();
}
