using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Journal;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Collection;

/// <summary>Preview of what a collection would do in a folder, found out without changing anything there.</summary>
/// <param name="Wanted">Traces wanted.</param>
/// <param name="Present">Those of them that are there.</param>
/// <param name="Difference">Traces there that are not wanted, in words; null where all are.</param>
/// <param name="IsOfAll">True where no other traces are there.</param>
public sealed record CollectionPreview(long Wanted, long Present, string? Difference, bool IsOfAll)
{
    /// <param name="plan">Plan of the traces wanted.</param>
    /// <param name="identity">Identity of the traces wanted.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">What is there is damaged.</exception>
    internal static async Task<CollectionPreview> OfAsync(
        ITracePlan plan,
        CollectionIdentity identity,
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
            if (there.Count > 0 && LeftOver.OfOptions(then, identity, there.Count) is { } options)
            {
                return new CollectionPreview(wanted.Count, 0, options, IsOfAll: true);
            }

            var leftOver = there.Where(key => !wanted.Contains(key)).ToHashSet();
            var traces = earlier
                .ReadAsync(leftOver.Contains, cancellationToken)
                .Where(trace => leftOver.Contains(Data.Traces.TraceKey.Of(trace.Id)));
            var difference = leftOver.Count == 0 ? null : await plan.DescribeLeftOverAsync(traces, then is not null, cancellationToken);
            return new CollectionPreview(
                wanted.Count,
                there.Count - leftOver.Count,
                difference,
                leftOver.Count == there.Count && leftOver.Count > 0
            );
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    /// <summary>Error that says what to do about the difference, in one line.</summary>
    /// <param name="path">The folder, as the user knows it.</param>
    public InvalidInputException Refusal(string path) => LeftOver.Refusal(path, Difference!);

    /// <summary>A remark for a plan: <c>100 of 300 traces are there</c>.</summary>
    /// <param name="isDiscarded">True to give up traces that are not wanted.</param>
    public string Describe(bool isDiscarded)
    {
        var missing = Wanted - Present;
        return Difference is null ? $"{Present:N0} of {Wanted:N0} traces are there"
            : isDiscarded
                ? $"{Difference}, which are discarded; {Counted.Of(missing, "trace")} will be asked for{(IsOfAll ? " again" : "")}"
            : $"{Difference}; --discard discards them, and {Counted.Of(missing, "trace")} "
                + $"will be asked for{(IsOfAll ? " again" : "")}; without it the run ends here";
    }
}
