using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Batching;

namespace TraceDistill.Training.Distillation;

/// <summary>The traces of one data set as training sequences, a row group at a time.</summary>
sealed class TraceShards : ISequenceSource
{
    readonly ShardReader _reader;

    /// <summary>Groups that were read before the training, until it takes them.</summary>
    readonly Dictionary<int, TraceTokens?[]> _kept = [];

    TraceShards(ShardReader reader, TokenAligner aligner) => (_reader, Aligner) = (reader, aligner);

    /// <param name="path">A folder of shards, or one Parquet file.</param>
    /// <param name="teacherTokenizer">The teacher's model directory, where the user names one.</param>
    /// <param name="topK">Soft targets to keep of each token; null keeps all.</param>
    /// <param name="tokenizer">The student's.</param>
    /// <param name="chat">Writes the student's prompts.</param>
    /// <param name="cancellationToken">Stops between shards.</param>
    /// <exception cref="InvalidInputException">There are none, or they are of another tokenizer.</exception>
    public static async Task<TraceShards> OpenAsync(
        string path,
        string? teacherTokenizer,
        int? topK,
        Tokenizer tokenizer,
        ChatSequence chat,
        CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(path, cancellationToken: cancellationToken);
        var teacher = TeacherTokenizer.Of(path, teacherTokenizer, reader.Dataset, tokenizer);
        reader.EnsureCompatible((teacher ?? tokenizer).Hash, (teacher ?? tokenizer).VocabularySize);
        return new TraceShards(reader, new TokenAligner(tokenizer, chat, reader.Dataset, path, topK, teacher));
    }

    public string Name => _reader.Path;

    /// <summary>Properties that all traces share.</summary>
    public DatasetDescription Dataset => _reader.Dataset;

    public TokenAligner Aligner { get; }

    /// <summary>All row groups in the order they were written; the next one is read while this one is looked at.</summary>
    /// <remarks>
    /// Where the shards' checksums are in a manifest, and so hold or do not, soft targets are
    /// decoded by the training alone, which takes most of the time.
    /// </remarks>
    public async IAsyncEnumerable<IReadOnlyList<Trace>> GroupsAsync()
    {
        Task<IReadOnlyList<Trace>>? next = null;
        for (var group = 0; group < _reader.RowGroups; group++)
        {
            var traces = await (next ?? ReadAsync(group));
            next = group + 1 < _reader.RowGroups ? ReadAsync(group + 1) : null;
            yield return traces;
        }

        Task<IReadOnlyList<Trace>> ReadAsync(int group) =>
            Task.Run(() => _reader.ReadRowGroupAsync(group, decodes: _reader.Manifest is null));
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

        var traces = _reader.ReadRowGroupAsync(group, decodes: false).GetAwaiter().GetResult();
        var sequences = new TraceTokens?[lengths.Length];
        for (var row = 0; row < lengths.Length; row++)
        {
            if (lengths[row] > 0)
            {
                sequences[row] = row < traces.Count ? Aligner.Align(traces[row], counts: false) : null;
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
