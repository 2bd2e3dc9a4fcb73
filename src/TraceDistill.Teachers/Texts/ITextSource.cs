using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;

namespace TraceDistill.Teachers.Texts;

/// <summary>Rows with text that is to be scored, to be read as often as needed.</summary>
interface ITextSource
{
    /// <summary>Names it in messages.</summary>
    string Path { get; }

    /// <summary>Facts that its rows have in common; null where none were written down.</summary>
    DatasetDescription? Dataset { get; }

    /// <summary>Its cut into shards and row groups, which the scored rows keep.</summary>
    BlockCut Cut { get; }

    /// <summary>Ids of all rows, in order.</summary>
    IAsyncEnumerable<string> ReadIdsAsync(CancellationToken cancellationToken);

    /// <summary>The rows at the positions that are wanted, in order.</summary>
    IAsyncEnumerable<(int Position, Trace Trace)> ReadAsync(Predicate<int> isWanted, CancellationToken cancellationToken);
}
