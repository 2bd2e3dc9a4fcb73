using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>Reads the data sets of traces that the stages of a run made.</summary>
static class TraceReader
{
    const int ExamplesShown = 12;

    public static async Task<IReadOnlyList<TraceFacts>> ReadAsync(IReadOnlyList<StageFacts> stages, CancellationToken cancellationToken)
    {
        var found = new List<TraceFacts>();
        foreach (var stage in stages.Where(stage => File.Exists(Path.Combine(stage.Folder, ShardManifest.FileName))))
        {
            found.Add(await ReadAsync(stage, stages, cancellationToken));
        }

        return found;
    }

    static async Task<TraceFacts> ReadAsync(StageFacts stage, IReadOnlyList<StageFacts> stages, CancellationToken cancellationToken)
    {
        // Lengths need every row, soft targets only those that are shown.
        var lengths = new List<TraceLength>();
        var slim = await ShardReader.OpenAsync(
            stage.Folder,
            new ShardReaderOptions { SoftTargets = false, VerifyChecksums = false },
            cancellationToken
        );
        await foreach (var trace in slim.ReadAsync(cancellationToken))
        {
            lengths.Add(new TraceLength(trace.CompletionTokens, trace.Verdict, !FinishReasons.IsNatural(trace.FinishReason)));
        }

        var shown = ExampleRows(lengths);
        var manifest = slim.Manifest!;
        return new TraceFacts
        {
            Stage = stage,
            Teacher = manifest.Dataset.Teacher,
            Count = manifest.Rows,
            Tokens = manifest.Tokens,
            Bytes = manifest.Bytes,
            TopK = manifest.Dataset.TopK,
            Lengths = lengths,
            Examples = await ExamplesAsync(stage.Folder, shown, cancellationToken),
            Tokenizer = manifest.Dataset.TokenIdentity == TokenIdentity.Text ? null : FindTokenizer(stages, manifest.Dataset.TokenizerHash),
        };
    }

    /// <summary>Rows spread over the data set, half of them wrong where there are as many: errors teach the reader most.</summary>
    static HashSet<int> ExampleRows(List<TraceLength> lengths)
    {
        var wrong = Spread([.. Enumerable.Range(0, lengths.Count).Where(row => lengths[row].Verdict == "incorrect")], ExamplesShown / 2);
        var others = Spread(
            [.. Enumerable.Range(0, lengths.Count).Where(row => lengths[row].Verdict != "incorrect")],
            ExamplesShown - wrong.Count
        );
        return [.. wrong, .. others];
    }

    static List<int> Spread(List<int> rows, int wanted)
    {
        var count = Math.Min(rows.Count, wanted);
        return [.. Enumerable.Range(0, count).Select(i => rows[(int)((long)i * rows.Count / count)])];
    }

    static async Task<IReadOnlyList<Trace>> ExamplesAsync(string folder, HashSet<int> rows, CancellationToken cancellationToken)
    {
        var examples = new List<Trace>();
        var reader = await ShardReader.OpenAsync(folder, new ShardReaderOptions { VerifyChecksums = false }, cancellationToken);
        var row = 0;
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            if (rows.Contains(row++))
            {
                examples.Add(trace);
            }

            if (examples.Count == rows.Count)
            {
                break;
            }
        }

        return examples;
    }

    /// <summary>The tokenizer with that hash, of a model that the run trained, or of one that the traces were collected from.</summary>
    static Tokenizer? FindTokenizer(IReadOnlyList<StageFacts> stages, string? hash) =>
        stages
            .SelectMany(stage =>
                new[] { stage.Folder, stage.Settings.GetValueOrDefault("serve"), stage.Settings.GetValueOrDefault("tokenizer") }
            )
            .OfType<string>()
            .Distinct()
            .Where(folder => File.Exists(Path.Combine(folder, Tokenizer.FileName)))
            .Select(Tokenizer.Load)
            .FirstOrDefault(tokenizer => hash is null || tokenizer.Hash == hash);
}
