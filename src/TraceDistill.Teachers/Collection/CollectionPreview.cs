using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Options;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Preview of what a collection would do in a folder, found out without changing anything there.</summary>
/// <param name="Wanted">Traces wanted.</param>
/// <param name="Present">Those of them that are there, and that are not asked for again.</param>
/// <param name="Difference">Traces there that are not wanted, in words; null where all are.</param>
/// <param name="IsOfAll">True where no other traces are there.</param>
public sealed record CollectionPreview(long Wanted, long Present, string? Difference, bool IsOfAll)
{
    /// <summary>
    /// Traces that are there and are asked for again: those with flaws that are reasked, and those that could not be scored.
    /// </summary>
    public long Again { get; init; }

    /// <param name="plan">Plan of the traces wanted.</param>
    /// <param name="options">How traces are kept, and which of them are asked for again.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">What is there is damaged.</exception>
    internal static async Task<CollectionPreview> OfAsync(
        ITracePlan plan,
        StoreOptions options,
        string directory,
        CancellationToken cancellationToken
    )
    {
        var folder = new OutputFolder(directory, Partition.Whole);
        var copy = Directory.CreateTempSubdirectory("tracedistill-").FullName;
        await using var earlier = await EarlierPartition.OpenAsync(
            folder,
            ShardManifest.Load(directory),
            Path.Combine(copy, "journal"),
            cancellationToken
        );
        try
        {
            var (wanted, there) = (plan.Keys.ToHashSet(), earlier.Keys.ToHashSet());
            var then = CollectionIdentity.Load(directory);
            if (there.Count > 0 && LeftOver.OfOptions(then, options.Identity!, there.Count) is { } others)
            {
                return new CollectionPreview(wanted.Count, 0, others, IsOfAll: true);
            }

            var leftOver = there.Where(key => !wanted.Contains(key)).ToHashSet();
            var traces = earlier
                .ReadAsync(leftOver.Contains, cancellationToken)
                .Where(trace => leftOver.Contains(Data.Traces.TraceKey.Of(trace.Id)));
            var difference = leftOver.Count == 0 ? null : await plan.DescribeLeftOverAsync(traces, then is not null, cancellationToken);
            var again = await AgainAsync(earlier, options, key => wanted.Contains(key), cancellationToken);
            return new CollectionPreview(
                wanted.Count,
                there.Count - leftOver.Count - again.Count,
                difference,
                leftOver.Count == there.Count && leftOver.Count > 0
            )
            {
                Again = again.Count,
            };
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>Those that a run would ask for again.</summary>
    static async Task<IReadOnlySet<TraceKey>> AgainAsync(
        EarlierPartition earlier,
        StoreOptions options,
        Predicate<TraceKey> isWanted,
        CancellationToken cancellationToken
    )
    {
        var again = earlier.Notes.Where(note => options.ReasksNoted(note.Value) && isWanted(note.Key)).Select(note => note.Key).ToHashSet();
        var seen = new HashSet<TraceKey>(); // the newest of each comes first
        await foreach (
            var trace in options.Reask.Count > 0 ? earlier.ReadAsync(isWanted, cancellationToken) : AsyncEnumerable.Empty<Trace>()
        )
        {
            var head = TraceFlaws.HeadOf(trace);
            if (isWanted(head.Key) && seen.Add(head.Key) && TraceFlaws.Of(head) is { } flaw && options.Reask.Contains(flaw))
            {
                again.Add(head.Key);
            }
        }

        return again;
    }

    /// <summary>Error that says what to do about the difference, in one line.</summary>
    /// <param name="path">The folder, as the user knows it.</param>
    public InvalidInputException Refusal(string path) => LeftOver.Refusal(path, Difference!);

    /// <summary>A remark for a plan: <c>100 of 300 traces are there</c>.</summary>
    /// <param name="isDiscarded">True to give up traces that are not wanted.</param>
    public string Describe(bool isDiscarded)
    {
        var missing = Wanted - Present;
        var again = Again > 0 ? $", and {Counted.Of(Again, "other")} will be asked for again" : "";
        return Difference is null ? $"{Present:N0} of {Wanted:N0} traces are there{again}"
            : isDiscarded
                ? $"{Difference}, which are discarded; {Counted.Of(missing, "trace")} will be asked for{(IsOfAll ? " again" : "")}"
            : $"{Difference}; --discard discards them, and {Counted.Of(missing, "trace")} "
                + $"will be asked for{(IsOfAll ? " again" : "")}; without it the run ends here";
    }
}
