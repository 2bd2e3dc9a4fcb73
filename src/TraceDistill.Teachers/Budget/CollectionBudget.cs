using System.Globalization;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Resilience;

namespace TraceDistill.Teachers.Budget;

/// <summary>Budget of a collection at its teacher, over all its runs.</summary>
/// <remarks>
/// A request is sent where its prompt and the longest answer allowed fit into what is left beside
/// those in flight, so that the budget is kept whatever the answers turn out to be. Where they do not,
/// it waits for those in flight, which mostly take less; with none in flight, the budget is spent.
/// </remarks>
/// <param name="maxTokens">Most tokens, of prompts and answers; null without a limit.</param>
/// <param name="maxCost">Most cost, in the currency of the price; null without a limit.</param>
/// <param name="price">The dearest price of the endpoints.</param>
/// <param name="spent">Usage so far.</param>
/// <param name="settled">Invoked after each request that is over.</param>
sealed class CollectionBudget(
    long? maxTokens,
    double? maxCost,
    TokenPrice? price,
    Func<(long Tokens, double Cost)> spent,
    Action? settled = null
)
{
    readonly Lock _lock = new();
    readonly LinkedList<Waiter> _waiting = new();
    long _reservedTokens;
    double _reservedCost;
    int _inFlight;

    /// <summary>Lets everything through.</summary>
    public static CollectionBudget Unlimited => new(null, null, null, () => default);

    /// <summary>True where nothing more is to be sent.</summary>
    public bool IsSpent => SpentSetting is not null;

    /// <summary>The setting whose limit that is; null while something is left.</summary>
    public string? SpentSetting { get; private set; }

    bool IsUnlimited => maxTokens is null && maxCost is null;

    /// <summary>Takes out of the budget what a request may cost at most.</summary>
    /// <param name="promptTokens">Tokens of its prompt.</param>
    /// <param name="mostCompletionTokens">Most tokens of its answer.</param>
    /// <param name="isCopy">
    /// True where it copies a request on its way and need not be sent: it waits for nothing, and that it does not fit says nothing.
    /// </param>
    /// <param name="cancellationToken">Ends the waiting; nothing is taken then.</param>
    /// <exception cref="NotSentException">It is not enough.</exception>
    public async ValueTask<Reservation> ReserveAsync(
        int promptTokens,
        int mostCompletionTokens,
        bool isCopy,
        CancellationToken cancellationToken
    )
    {
        var waiter = new Waiter(
            new Reservation((long)promptTokens + mostCompletionTokens, price?.Of(promptTokens, mostCompletionTokens) ?? 0)
        );
        if (IsUnlimited)
        {
            return waiter.Wanted;
        }

        lock (_lock)
        {
            if (isCopy)
            {
                return !IsSpent && Fits(waiter.Wanted) ? Take(waiter.Wanted) : throw new NotSentException();
            }

            _waiting.AddLast(waiter);
            Settle();
        }

        await using var registration = cancellationToken.UnsafeRegister(_ => Forget(waiter, cancellationToken), state: null);
        return await waiter.Given.Task;
    }

    /// <summary>The request is over; what it took is in the usage by now.</summary>
    public void Release(Reservation reservation)
    {
        settled?.Invoke();
        if (IsUnlimited)
        {
            return;
        }

        lock (_lock)
        {
            _inFlight--;
            _reservedTokens -= reservation.Tokens;
            _reservedCost -= reservation.Cost;
            Settle();
        }
    }

    /// <summary>Part of the budget that was spent, for the progress; null where there is neither price nor limit.</summary>
    public string? Describe()
    {
        var (tokens, cost) = spent();
        var parts = new List<string>();
        if (price is not null)
        {
            parts.Add($"cost {Amount(cost)}{(maxCost is { } most ? $" of {Amount(most)}" : "")}");
        }

        if (maxTokens is { } limit)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{tokens:#,0} of {limit:#,0} tokens"));
        }

        return parts.Count == 0 ? null : string.Join(", ", parts);
    }

    static string Amount(double cost) =>
        cost.ToString(
            cost >= 100 ? "#,0"
                : cost >= 1 ? "0.00"
                : "0.####",
            CultureInfo.InvariantCulture
        );

    void Settle()
    {
        while (_waiting.First?.Value is { } next && (IsSpent || Fits(next.Wanted) || _inFlight == 0))
        {
            _waiting.RemoveFirst();
            if (IsSpent || !Fits(next.Wanted))
            {
                SpentSetting ??= FitsTokens(next.Wanted) ? "max_cost" : "max_tokens_total";
                next.Given.SetException(new NotSentException());
            }
            else
            {
                next.Given.SetResult(Take(next.Wanted));
            }
        }
    }

    Reservation Take(Reservation wanted)
    {
        _inFlight++;
        _reservedTokens += wanted.Tokens;
        _reservedCost += wanted.Cost;
        return wanted;
    }

    /// <summary>Nobody waits for it any more. One that was given just before is given back by who has it.</summary>
    void Forget(Waiter waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_waiting.Remove(waiter))
            {
                waiter.Given.SetCanceled(cancellationToken);
                Settle();
            }
        }
    }

    bool Fits(Reservation wanted) => FitsTokens(wanted) && !(spent().Cost + _reservedCost + wanted.Cost > maxCost);

    bool FitsTokens(Reservation wanted) => !(spent().Tokens + _reservedTokens + wanted.Tokens > maxTokens);

    sealed class Waiter(Reservation wanted)
    {
        public Reservation Wanted => wanted;

        public TaskCompletionSource<Reservation> Given { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>Most that one request may cost.</summary>
readonly record struct Reservation(long Tokens, double Cost);
