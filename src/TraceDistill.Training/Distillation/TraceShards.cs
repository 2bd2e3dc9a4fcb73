using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Distillation;

/// <summary>A trace, and what further teachers made of it.</summary>
/// <param name="Trace">Of the data set.</param>
/// <param name="Scores">A row of each stored teacher; null for one that has none of this data set, and for the traces' own.</param>
readonly record struct TraceRow(Trace Trace, IReadOnlyList<Trace?> Scores);

/// <summary>The traces of one data set as training sequences, a row group at a time.</summary>
sealed class TraceShards : ISequenceSource
{
    readonly ShardReader _reader;

    /// <summary>Groups that were read before the training, until it takes them.</summary>
    readonly Dictionary<int, TraceTokens?[]> _kept = [];

    readonly IReadOnlyList<StoredTeacher> _teachers;
    readonly int[] _starts; // [row groups] positions
    readonly bool _judges;
    readonly TeacherPrompts? _prompts;

    TraceShards(ShardReader reader, TokenAligner aligner, IReadOnlyList<StoredTeacher> teachers, bool judges, TeacherPrompts? prompts)
    {
        (_reader, Aligner, _teachers, _judges, _prompts) = (reader, aligner, teachers, judges, prompts);
        var rows = reader.Cut.SelectMany(shard => shard).ToList();
        _starts = [.. rows.Select((_, group) => rows.Take(group).Sum())];
    }

    /// <param name="path">A folder of shards, or one Parquet file.</param>
    /// <param name="teacherTokenizer">The teacher's model directory, where the user names one.</param>
    /// <param name="topK">Soft targets to keep of each token; null keeps all.</param>
    /// <param name="tokenizer">The student's.</param>
    /// <param name="chat">Writes the student's prompts.</param>
    /// <param name="teachers">Stored teachers, where several are listed; null where the traces' own soft targets are all.</param>
    /// <param name="prompts">What models that teach read in place of the student's prompts; null for just these.</param>
    /// <param name="cancellationToken">Stops between shards.</param>
    /// <exception cref="InvalidInputException">There are none, or they are of another tokenizer.</exception>
    public static async Task<TraceShards> OpenAsync(
        string path,
        string? teacherTokenizer,
        int? topK,
        Tokenizer tokenizer,
        ChatSequence chat,
        StoredTeachers? teachers,
        TeacherPrompts? prompts,
        CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(path, cancellationToken: cancellationToken);
        var teacher = TeacherTokenizer.Of(path, teacherTokenizer, reader.Dataset, tokenizer);
        reader.EnsureCompatible((teacher ?? tokenizer).Hash, (teacher ?? tokenizer).VocabularySize);
        return new TraceShards(
            reader,
            new TokenAligner(tokenizer, chat, reader.Dataset, path, topK, teacher),
            teachers is null ? [] : await teachers.OfAsync(reader, cancellationToken),
            teachers is { Judges: true },
            prompts
        );
    }

    public string Name => _reader.Path;

    /// <summary>Properties that all traces share.</summary>
    public DatasetDescription Dataset => _reader.Dataset;

    public TokenAligner Aligner { get; }

    /// <summary>What further teachers made of these traces.</summary>
    public IEnumerable<ScoredTraces> Scores => _teachers.Select(teacher => teacher.Scores).OfType<ScoredTraces>();

    /// <summary>All row groups in the order they were written; the next one is read while this one is looked at.</summary>
    /// <remarks>
    /// Where the shards' checksums are in a manifest, and so hold or do not, soft targets are
    /// decoded by the training alone, which takes most of the time.
    /// </remarks>
    public async IAsyncEnumerable<IReadOnlyList<TraceRow>> GroupsAsync()
    {
        Task<IReadOnlyList<TraceRow>>? next = null;
        for (var group = 0; group < _reader.RowGroups; group++)
        {
            var traces = await (next ?? ReadAsync(group));
            next = group + 1 < _reader.RowGroups ? ReadAsync(group + 1) : null;
            yield return traces;
        }

        Task<IReadOnlyList<TraceRow>> ReadAsync(int group) => Task.Run(() => RowsAsync(group, decodes: _reader.Manifest is null));
    }

    /// <summary>The training sequence of a trace, with the soft targets of all stored teachers.</summary>
    /// <param name="row">One of <see cref="GroupsAsync"/>.</param>
    /// <param name="counts">As for <see cref="TokenAligner.Align"/>.</param>
    public TraceTokens Align(TraceRow row, bool counts = true)
    {
        var own = Aligner.Align(row.Trace, counts: counts) with
        {
            IsIncorrect = _judges && row.Trace.Verdict == Verdict.Incorrect.ToName(),
            TeacherPrompt = _prompts?.Of(row.Trace),
        };
        if (_teachers.Count == 0)
        {
            return own;
        }

        ISoftTargetSource?[] told =
        [
            .. _teachers
                .Zip(row.Scores)
                .Select(teacher =>
                    teacher.First.IsOwn ? own.Soft
                    : teacher.Second is { } scored ? teacher.First.Scores!.SoftTargetsOf(scored, own, counts)
                    : null
                ),
        ];
        return own with { Soft = told[0], Further = told[1..] };
    }

    /// <summary>The traces of a group, with the rows of stored teachers.</summary>
    async Task<IReadOnlyList<TraceRow>> RowsAsync(int group, bool decodes)
    {
        var traces = await _reader.ReadRowGroupAsync(group, decodes);
        var scores = new List<IReadOnlyList<Trace>?>();
        foreach (var teacher in _teachers)
        {
            scores.Add(teacher.Scores is null ? null : await teacher.Scores.OfAsync(_starts[group], traces, decodes));
        }

        return [.. traces.Select((trace, row) => new TraceRow(trace, [.. scores.Select(rows => rows?[row])]))];
    }

    /// <summary>Keeps a group, so that it need not be read again when the training begins.</summary>
    public void Keep(int group, TraceTokens?[] sequences) => _kept[group] = sequences;

    /// <summary>Keeps none any more.</summary>
    public void KeepNone() => _kept.Clear();

    public TraceTokens?[] Read(int group, ReadOnlySpan<int> lengths)
    {
        lock (_kept)
        {
            if (_kept.Remove(group, out var kept))
            {
                return kept;
            }
        }

        var traces = RowsAsync(group, decodes: false).GetAwaiter().GetResult();
        var sequences = new TraceTokens?[lengths.Length];
        for (var row = 0; row < lengths.Length; row++)
        {
            if (lengths[row] > 0)
            {
                sequences[row] = row < traces.Count ? Align(traces[row], counts: false) : null;
                if (sequences[row]?.Ids.Length != lengths[row])
                {
                    throw new InvalidInputException(
                        $"{Name}: is not what it was when the training began; leave traces alone while a student learns from them"
                    );
                }
            }
        }

        return sequences;
    }
}
