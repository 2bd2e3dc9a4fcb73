using System.Runtime.CompilerServices;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Texts;

/// <summary>The traces of a data set.</summary>
sealed class ShardTexts : ITextSource
{
    readonly ShardReader _reader;
    readonly int[] _starts; // [row groups] position of each one's first row

    ShardTexts(ShardReader reader)
    {
        _reader = reader;
        Cut = BlockCut.At([.. reader.Cut.Where(shard => shard.Sum() > 0)]);
        var (start, starts) = (0, new List<int>());
        foreach (var rows in reader.Cut.SelectMany(shard => shard))
        {
            starts.Add(start);
            start += rows;
        }

        _starts = [.. starts, start];
    }

    public string Path => _reader.Path;

    public DatasetDescription? Dataset => _reader.Dataset;

    public BlockCut Cut { get; }

    /// <exception cref="InvalidInputException">There are none, or a shard is damaged.</exception>
    public static async Task<ShardTexts> OpenAsync(string path, CancellationToken cancellationToken)
    {
        // Alternatives that are there are the writer's: they are of no use here.
        var reader = await ShardReader.OpenAsync(path, new ShardReaderOptions { SoftTargets = false }, cancellationToken);
        return reader.Rows > 0
            ? new ShardTexts(reader)
            : throw new InvalidInputException($"{path}: holds no traces, so none can be scored");
    }

    public IAsyncEnumerable<string> ReadIdsAsync(CancellationToken cancellationToken) => _reader.ReadIdsAsync(cancellationToken);

    public async IAsyncEnumerable<(int Position, Trace Trace)> ReadAsync(
        Predicate<int> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        for (var group = 0; group < _reader.RowGroups; group++)
        {
            var (start, end) = (_starts[group], _starts[group + 1]);
            if (!Enumerable.Range(start, end - start).Any(position => isWanted(position)))
            {
                continue;
            }

            var traces = await _reader.ReadRowGroupAsync(group, decodes: false, cancellationToken);
            for (var row = 0; row < traces.Count; row++)
            {
                if (isWanted(start + row))
                {
                    yield return (start + row, traces[row]);
                }
            }
        }
    }
}
