namespace TraceDistill.Teachers.Connector;

/// <summary>The memory that large response bodies have between them. Who finds too little left waits, in the order of asking.</summary>
/// <remarks>
/// A body grows in steps and holds what it has while it waits. Where all that hold some wait for more, none would ever end: then the first of them gets
/// what it asks for beyond the budget.
/// </remarks>
/// <param name="most">Bytes.</param>
sealed class BodyBudget(long most)
{
    readonly Lock _lock = new();
    readonly List<Waiter> _waiting = [];
    long _taken;
    int _holders;

    /// <summary>The budget of this process.</summary>
    public static BodyBudget Shared { get; } = new(64 << 20);

    /// <param name="holds">Whether the body has some bytes of the budget already.</param>
    /// <param name="bytes">How many more it takes.</param>
    /// <param name="cancellationToken">Ends the waiting; nothing is taken then.</param>
    public async ValueTask TakeAsync(bool holds, long bytes, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(holds, bytes);
        lock (_lock)
        {
            _waiting.Add(waiter);
            Grant();
        }

        try
        {
            await waiter.Granted.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            lock (_lock)
            {
                if (!_waiting.Remove(waiter))
                {
                    _taken -= bytes;
                    _holders -= holds ? 0 : 1;
                }

                Grant();
            }

            throw;
        }
    }

    /// <summary>Gives back all that one body took.</summary>
    public void Return(long bytes)
    {
        lock (_lock)
        {
            _taken -= bytes;
            _holders--;
            Grant();
        }
    }

    void Grant()
    {
        while (_waiting.Count > 0)
        {
            var next = _taken + _waiting[0].Bytes <= most ? _waiting[0]
                : _waiting.Count(waiter => waiter.Holds) == _holders ? _waiting.Find(waiter => waiter.Holds) ?? _waiting[0]
                : null;
            if (next is null)
            {
                return;
            }

            _waiting.Remove(next);
            _taken += next.Bytes;
            _holders += next.Holds ? 0 : 1;
            next.Granted.SetResult();
        }
    }

    sealed class Waiter(bool holds, long bytes)
    {
        public bool Holds => holds;

        public long Bytes => bytes;

        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
