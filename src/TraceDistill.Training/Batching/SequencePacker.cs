namespace TraceDistill.Training.Batching;

/// <summary>Cuts sequences into forward passes.</summary>
public static class SequencePacker
{
    /// <summary>
    /// Cuts a batch, in order, into pieces of at most <paramref name="microBatchTokens"/> tokens (a longer sequence stands alone).
    /// </summary>
    public static IReadOnlyList<IReadOnlyList<T>> Split<T>(IReadOnlyList<T> batch, Func<T, int> length, int microBatchTokens)
    {
        var pieces = new List<IReadOnlyList<T>>();
        var piece = new List<T>();
        var tokens = 0;
        foreach (var sequence in batch)
        {
            if (piece.Count > 0 && tokens + length(sequence) > microBatchTokens)
            {
                pieces.Add(piece);
                piece = [];
                tokens = 0;
            }

            piece.Add(sequence);
            tokens += length(sequence);
        }

        if (piece.Count > 0)
        {
            pieces.Add(piece);
        }

        return pieces;
    }
}
