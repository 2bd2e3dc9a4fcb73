using TraceDistill.Core.Problems;

namespace TraceDistill.Teachers.Collection;

/// <summary>The problems of a run, to be read as often as needed.</summary>
/// <param name="Path">Their file.</param>
/// <param name="Limit">Only the first so many.</param>
/// <param name="Partition">Only this share of them.</param>
sealed record ProblemSource(string Path, int? Limit, Partition Partition)
{
    /// <summary>The problems, each with its place in the file.</summary>
    public IAsyncEnumerable<(int Record, Problem Problem)> ReadAsync(CancellationToken cancellationToken) => ProblemReader.ReadAsync(Path, cancellationToken)
        .Take(Limit ?? int.MaxValue)
        .Select((problem, record) => (record, problem))
        .Where(read => Partition.Contains(read.problem.Id));

    /// <summary>The problems at some places, which take no time to get to.</summary>
    /// <param name="isWanted">Asked of each place in order.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public IAsyncEnumerable<Problem> ReadSomeAsync(Predicate<int> isWanted, CancellationToken cancellationToken) =>
        ProblemReader.ReadSomeAsync(Path, isWanted, cancellationToken);
}
