using TraceDistill.Core.Problems;

namespace TraceDistill.Teachers.Collection;

/// <summary>The problems of a run, to be read as often as needed.</summary>
/// <param name="Path">Their file.</param>
/// <param name="Limit">Only the first so many.</param>
/// <param name="Partition">Only this share of them.</param>
sealed record ProblemSource(string Path, int? Limit, Partition Partition)
{
    public IAsyncEnumerable<Problem> ReadAsync(CancellationToken cancellationToken) => ProblemReader.ReadAsync(Path, cancellationToken)
        .Take(Limit ?? int.MaxValue)
        .Where(problem => Partition.Contains(problem.Id));
}
