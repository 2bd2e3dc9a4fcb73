using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;

namespace TraceDistill.Teachers.Texts;

/// <summary>
/// Lets so many tokens through at a time, in the order of asking: what a text takes of a server's memory, and its scores of this process's,
/// goes by its length. A text longer than that goes alone.
/// </summary>
/// <param name="inner">Scores.</param>
/// <param name="most">Tokens.</param>
sealed class TokensInFlight(ITokenScorer inner, int most) : ITokenScorer
{
    readonly Lock _lock = new();
    readonly LinkedList<Waiter> _waiting = [];
    int _tokens;

    public async Task<TokenLogprobs> ScoreAsync(ScoringRequest request, CancellationToken cancellationToken = default)
    {
        var tokens = Math.Min(request.Tokens.Length, most);
        await EnterAsync(new Waiter(tokens), cancellationToken);
        try
        {
            return await inner.ScoreAsync(request, cancellationToken);
        }
        finally
        {
            Leave(tokens);
        }
    }

    async Task EnterAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _waiting.AddLast(waiter);
            Admit();
        }

        try
        {
            await waiter.Admitted.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            lock (_lock)
            {
                if (_waiting.Remove(waiter))
                {
                    Admit();
                }
                else
                {
                    Leave(waiter.Tokens);
                }
            }

            throw;
        }
    }

    void Leave(int tokens)
    {
        lock (_lock)
        {
            _tokens -= tokens;
            Admit();
        }
    }

    void Admit()
    {
        while (_waiting.First is { Value: var next } && _tokens + next.Tokens <= most)
        {
            _waiting.RemoveFirst();
            _tokens += next.Tokens;
            next.Admitted.SetResult();
        }
    }

    sealed class Waiter(int tokens)
    {
        public int Tokens => tokens;

        public TaskCompletionSource Admitted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
