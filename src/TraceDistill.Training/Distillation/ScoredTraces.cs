using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Distillation;

/// <summary>One teacher's scores of a data set of traces: the same rows in the same order, whatever their row groups.</summary>
sealed class ScoredTraces
{
    readonly ShardReader _reader;
    readonly int[] _starts; // [row groups + 1] positions
    readonly Lock _reading = new();
    (int Group, Task<IReadOnlyList<Trace>> Traces)? _last;

    ScoredTraces(ShardReader reader, TokenAligner aligner)
    {
        (_reader, Aligner) = (reader, aligner);
        var starts = new List<int> { 0 };
        starts.AddRange(reader.Cut.SelectMany(shard => shard).Select(rows => starts[^1] + rows));
        _starts = [.. starts];
    }

    /// <param name="path">A folder that <c>score</c> wrote.</param>
    /// <param name="topK">Soft targets to keep of each token; null keeps all.</param>
    /// <param name="tokenizer">The student's.</param>
    /// <param name="chat">Writes the student's prompts.</param>
    /// <param name="cancellationToken">Stops between shards.</param>
    /// <exception cref="InvalidInputException">There are none, or they are of another tokenizer than the one that is stored
    /// there.</exception>
    public static async Task<ScoredTraces> OpenAsync(
        string path,
        int? topK,
        Tokenizer tokenizer,
        ChatSequence chat,
        CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(path, cancellationToken: cancellationToken);
        var teacher = TeacherTokenizer.Of(path, named: null, reader.Dataset, tokenizer);
        reader.EnsureCompatible((teacher ?? tokenizer).Hash, (teacher ?? tokenizer).VocabularySize);
        return new ScoredTraces(reader, new TokenAligner(tokenizer, chat, reader.Dataset, path, topK, teacher));
    }

    public string Path => _reader.Path;

    public DatasetDescription Dataset => _reader.Dataset;

    public TokenAligner Aligner { get; }

    /// <summary>Traces that have no soft targets here, so far.</summary>
    public int Unscored { get; private set; }

    /// <summary>Traces whose text was scored in another form than the student's sequence has it, so far.</summary>
    public int Otherwise { get; private set; }

    /// <summary>Traces so far.</summary>
    public int Seen { get; private set; }

    public long Rows => _reader.Rows;

    /// <summary>The id of the first row; null where there is none.</summary>
    public ValueTask<string?> FirstIdAsync(CancellationToken cancellationToken) =>
        _reader.ReadIdsAsync(cancellationToken).FirstOrDefaultAsync(cancellationToken);

    /// <summary>The rows of some traces, which have to be of the same ids. Safe to call from several threads.</summary>
    /// <param name="first">Position of the first trace.</param>
    /// <param name="traces">The traces.</param>
    /// <param name="decodes">As for <see cref="ShardReader.ReadRowGroupAsync"/>.</param>
    /// <exception cref="InvalidInputException">A row is of another trace.</exception>
    public async Task<IReadOnlyList<Trace>> OfAsync(int first, IReadOnlyList<Trace> traces, bool decodes)
    {
        var found = new List<Trace>(traces.Count);
        for (var group = GroupAt(first); found.Count < traces.Count && group < _reader.RowGroups; group++)
        {
            var rows = await ReadAsync(group, decodes);
            found.AddRange(rows.Skip(first + found.Count - _starts[group]).Take(traces.Count - found.Count));
        }

        var other = Enumerable.Range(0, traces.Count).FirstOrDefault(row => found.ElementAtOrDefault(row)?.Id != traces[row].Id, -1);
        return other < 0
            ? found
            : throw new InvalidInputException(
                $"{Path}: row {first + other} is of the trace {found.ElementAtOrDefault(other)?.Id ?? "(none)"} and not of "
                    + $"{traces[other].Id}; score these very traces again"
            );
    }

    /// <summary>The soft targets of a row for the student's sequence of it; null where there are none.</summary>
    /// <param name="counts">True where what is missing is counted, by one thread.</param>
    public ISoftTargetSource? SoftTargetsOf(Trace row, TraceTokens sequence, bool counts)
    {
        var soft = Aligner.AlignTo(sequence, row, counts);
        Seen += counts ? 1 : 0;
        if (counts && soft is null)
        {
            _ = row.Logprobs is null ? Unscored++ : Otherwise++;
        }

        return soft;
    }

    /// <summary>A line on what is missing; null where nothing is.</summary>
    public string? Describe()
    {
        string?[] parts =
        [
            Unscored > 0 ? FormattableString.Invariant($"{Unscored:N0} were not scored") : null,
            Otherwise > 0 ? FormattableString.Invariant($"{Otherwise:N0} are written in other tokens than the student's text") : null,
        ];
        return Unscored + Otherwise == 0
            ? null
            : FormattableString.Invariant($"{Path}: of {Seen:N0} traces ")
                + $"{string.Join(", ", parts.OfType<string>())}: the other teachers speak of them alone";
    }

    int GroupAt(int position)
    {
        var found = Array.BinarySearch(_starts, position);
        return found >= 0 ? found : ~found - 1;
    }

    /// <summary>Groups are asked for in their order mostly, and one may hold rows of several of the traces'.</summary>
    Task<IReadOnlyList<Trace>> ReadAsync(int group, bool decodes)
    {
        lock (_reading)
        {
            if (_last is not { } last || last.Group != group)
            {
                _last = last = (group, Task.Run(() => _reader.ReadRowGroupAsync(group, decodes)));
            }

            return last.Traces;
        }
    }
}
