using TraceDistill.Data.Contracts;
using TraceDistill.Teachers.Budget;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Telemetry;

namespace TraceDistill.Teachers.Collection;

/// <summary>A teacher behind its endpoints as a run asks it: within limits and budget, and what is taken of it written down.</summary>
sealed class TeacherAccount : IDisposable
{
    readonly UsageLedger _usage;

    /// <param name="options">Limits and budget.</param>
    /// <param name="endpoints">One at least.</param>
    /// <param name="folder">Where usage is kept.</param>
    /// <param name="time">The clock of everything.</param>
    /// <param name="observer">Takes messages on endpoints and waits.</param>
    /// <param name="stop">From then on nothing more is sent.</param>
    public TeacherAccount(
        TeacherOptions options,
        IReadOnlyList<PooledEndpoint> endpoints,
        OutputFolder folder,
        TimeProvider time,
        IRunObserver observer,
        CancellationToken stop
    )
    {
        Teacher = new TeacherPool(endpoints, ResilienceOf(options), time, observer, stop: stop);
        _usage = new UsageLedger(folder.UsageFile, Teacher.Meters, time);
        Teacher.Budget = Budget = BudgetOf(options, folder.Partition, endpoints, _usage);
    }

    public TeacherPool Teacher { get; }

    public CollectionBudget Budget { get; }

    /// <summary>Traces worth having in hand at a time: while some are on their way to the disk, others take their places.</summary>
    public int AtATime => AtATimeFor(Teacher.Capacity);

    // As many, though thousands need not be at hand.
    public static int AtATimeFor(int capacity) => capacity + Math.Clamp(capacity, 4, 256);

    public void Dispose()
    {
        _usage.Dispose();
        Teacher.Dispose();
    }

    static ResilienceOptions ResilienceOf(TeacherOptions options) =>
        new()
        {
            Concurrency = options.Concurrency,
            AttemptTimeout = options.AttemptTimeout is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            HedgeAfter = options.HedgeAfter is { } delay ? TimeSpan.FromSeconds(delay) : null,
        };

    /// <summary>Of partitions that know nothing of each other, each may take an equal fraction of the budget.</summary>
    static CollectionBudget BudgetOf(
        TeacherOptions options,
        Partition partition,
        IReadOnlyList<PooledEndpoint> endpoints,
        UsageLedger usage
    ) =>
        new(
            options.MaxTokensTotal / partition.Count,
            options.MaxCost / partition.Count,
            DearestPrice(endpoints),
            () => usage.Spent,
            usage.SaveNowAndThen
        );

    static TokenPrice? DearestPrice(IReadOnlyList<PooledEndpoint> endpoints)
    {
        var prices = endpoints.Select(endpoint => endpoint.Price).OfType<TokenPrice>().ToList();
        return prices.Count == 0
            ? null
            : new TokenPrice { Input = prices.Max(price => price.Input), Output = prices.Max(price => price.Output) };
    }
}
