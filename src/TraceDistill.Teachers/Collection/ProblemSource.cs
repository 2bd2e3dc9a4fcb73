using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Teachers.Journal;

namespace TraceDistill.Teachers.Collection;

/// <summary>The problems of a run, to be read as often as needed.</summary>
/// <param name="Path">Their file.</param>
/// <param name="Limit">Only the first so many.</param>
/// <param name="Partition">Only this partition of them.</param>
sealed record ProblemSource(string Path, int? Limit, Partition Partition)
{
    /// <summary>Names of the file's fields.</summary>
    public ProblemReaderOptions Options { get; init; } = new();

    /// <summary>The problems, each with its place in the file.</summary>
    /// <param name="counts">Counts those of the whole file, whatever the partition.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public IAsyncEnumerable<(int Record, Problem Problem)> ReadAsync(ProblemCounts counts, CancellationToken cancellationToken) =>
        ProblemReader
            .ReadWithPlacesAsync(Path, Options, counts, cancellationToken)
            .Take(Limit ?? int.MaxValue)
            .Where(read => Partition.Contains(read.Problem.Id));

    /// <summary>The problems at some places, which take no time to get to.</summary>
    /// <param name="isWanted">Asked of each place in order.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public IAsyncEnumerable<Problem> ReadSomeAsync(Predicate<int> isWanted, CancellationToken cancellationToken) =>
        ProblemReader.ReadSomeAsync(Path, Options, isWanted, cancellationToken);
}
