namespace TraceDistill.Teachers.Connector;

/// <summary>The memory that large response bodies have between them. Who finds too little left waits, in the order of asking.</summary>
/// <remarks>
/// A body grows in steps and holds what it has while it waits. Where all that hold some wait for more, none would ever end:
/// then one of them gets what it asks for beyond the budget, that time and every time until its end, and no other does.
/// </remarks>
/// <param name="most">Bytes.</param>
sealed class BodyBudget(long most)
{
    readonly Lock _lock = new();
    readonly List<Waiter> _waiting = [];
    object? _beyond;
    long _taken;
    int _holders;

    /// <summary>The budget of this process.</summary>
    public static BodyBudget Shared { get; } = new(64 << 20);

    /// <param name="body">Who takes.</param>
    /// <param name="holds">True where it has some bytes of the budget already.</param>
    /// <param name="bytes">Number of bytes that it takes besides.</param>
    /// <param name="cancellationToken">Ends the waiting; nothing is taken then.</param>
    public async ValueTask TakeAsync(object body, bool holds, long bytes, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(body, holds, bytes);
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

                // Where it holds nothing it will have nothing to return.
                _beyond = _beyond == body && !holds ? null : _beyond;

                Grant();
            }

            throw;
        }
    }

    /// <summary>Gives back all that a body took.</summary>
    public void Return(object body, long bytes)
    {
        lock (_lock)
        {
            _beyond = _beyond == body ? null : _beyond;
            _taken -= bytes;
            _holders--;
            Grant();
        }
    }

    void Grant()
    {
        while (Next() is { } next)
        {
            _waiting.Remove(next);
            _taken += next.Bytes;
            _holders += next.Holds ? 0 : 1;
            next.Granted.SetResult();
        }
    }

    Waiter? Next()
    {
        if (_waiting.Count == 0 || _taken + _waiting[0].Bytes <= most)
        {
            return _waiting.FirstOrDefault();
        }

        if (_beyond is null && _waiting.Count(waiter => waiter.Holds) == _holders)
        {
            _beyond = (_waiting.Find(waiter => waiter.Holds) ?? _waiting[0]).Body;
        }

        return _beyond is null ? null : _waiting.Find(waiter => waiter.Body == _beyond);
    }

    sealed class Waiter(object body, bool holds, long bytes)
    {
        public object Body => body;

        public bool Holds => holds;

        public long Bytes => bytes;

        public TaskCompletionSource Granted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
