using System.Globalization;
using TraceDistill.Teachers.Routing;

namespace TraceDistill.Teachers.Budget;

/// <summary>What a collection may take of its teacher, over all its runs.</summary>
/// <remarks>
/// A request is sent where its prompt and the longest answer allowed fit into what is left beside those in flight, so that the budget is kept whatever the
/// answers turn out to be. Where they do not, it waits for those in flight, which mostly take less; with none in flight, the budget is spent.
/// </remarks>
/// <param name="maxTokens">Most tokens, of prompts and answers; null without a limit.</param>
/// <param name="maxCost">Most cost, in the currency of the price; null without a limit.</param>
/// <param name="price">The dearest price of the endpoints.</param>
/// <param name="spent">What was taken so far.</param>
/// <param name="settled">Told after each request that is over.</param>
sealed class CollectionBudget(long? maxTokens, double? maxCost, TokenPrice? price, Func<(long Tokens, double Cost)> spent, Action? settled = null)
{
    readonly Lock _lock = new();
    readonly Queue<(Reservation Wanted, TaskCompletionSource Given)> _waiting = new();
    long _reservedTokens;
    double _reservedCost;
    int _inFlight;

    /// <summary>Lets everything through.</summary>
    public static CollectionBudget Unlimited => new(null, null, null, () => default);

    /// <summary>Whether nothing more is to be sent.</summary>
    public bool IsSpent => SpentSetting is not null;

    /// <summary>The setting whose limit that is; null while something is left.</summary>
    public string? SpentSetting { get; private set; }

    bool IsUnlimited => maxTokens is null && maxCost is null;

    /// <summary>Takes out of the budget what a request may cost at most.</summary>
    /// <exception cref="NotSentException">It is not enough.</exception>
    public async ValueTask<Reservation> ReserveAsync(int promptTokens, int mostCompletionTokens, CancellationToken cancellationToken)
    {
        var wanted = new Reservation((long)promptTokens + mostCompletionTokens, price?.Of(promptTokens, mostCompletionTokens) ?? 0);
        if (IsUnlimited)
        {
            return wanted;
        }

        var given = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _waiting.Enqueue((wanted, given));
            Settle();
        }

        await given.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (given.Task.IsCompleted)
        {
            await given.Task;
            return wanted;
        }

        // If it is given after all, nobody is there to give it back but this.
        _ = given.Task.ContinueWith(_ => Release(wanted), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
        throw new OperationCanceledException(cancellationToken);
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

    /// <summary>What was spent of what may be, for the progress; null where there is neither price nor limit.</summary>
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

    static string Amount(double cost) => cost.ToString(cost >= 100 ? "#,0" : cost >= 1 ? "0.00" : "0.####", CultureInfo.InvariantCulture);

    void Settle()
    {
        while (_waiting.TryPeek(out var next) && (IsSpent || Fits(next.Wanted) || _inFlight == 0))
        {
            _waiting.Dequeue();
            if (IsSpent || !Fits(next.Wanted))
            {
                SpentSetting ??= FitsTokens(next.Wanted) ? "max_cost" : "max_tokens_total";
                next.Given.SetException(new NotSentException());
            }
            else
            {
                _inFlight++;
                _reservedTokens += next.Wanted.Tokens;
                _reservedCost += next.Wanted.Cost;
                next.Given.SetResult();
            }
        }
    }

    bool Fits(Reservation wanted) => FitsTokens(wanted) && !(spent().Cost + _reservedCost + wanted.Cost > maxCost);

    bool FitsTokens(Reservation wanted) => !(spent().Tokens + _reservedTokens + wanted.Tokens > maxTokens);
}

/// <summary>What one request may cost at most.</summary>
readonly record struct Reservation(long Tokens, double Cost);
