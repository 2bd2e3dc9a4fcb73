using System.Runtime.CompilerServices;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;

namespace TraceDistill.Cli.Synthesis;

/// <summary>Where the files of a search lie: each round in a folder of its own, and what was kept of all rounds beside them.</summary>
/// <param name="Output">The stage's folder.</param>
sealed record SynthesisFolder(string Output)
{
    /// <summary>Holds the rounds.</summary>
    public const string Rounds = "rounds";

    /// <summary>Problems that were kept, as <c>problems</c> writes them.</summary>
    public string Problems => Path.Combine(Output, "train.jsonl");

    /// <summary>The rounds' figures.</summary>
    public string Data => Path.Combine(Output, "disagreement.json");

    /// <summary>The same as a table.</summary>
    public string Table => Path.Combine(Output, "disagreement.md");

    /// <summary>Digest of the settings that the rounds follow from.</summary>
    public string Settings => Path.Combine(Output, ".synthesis.json");

    /// <param name="round">From 1.</param>
    public SynthesisRoundFolder Round(int round) => new(Path.Combine(Output, Rounds, $"{round}"));

    /// <summary>Folders of the rounds that have begun.</summary>
    public IEnumerable<SynthesisRoundFolder> Begun() =>
        Path.Combine(Output, Rounds) is var folder && Directory.Exists(folder)
            ? Directory.GetDirectories(folder).Select(round => new SynthesisRoundFolder(round))
            : [];
}

/// <summary>The files of one round.</summary>
/// <param name="Path">Its folder.</param>
sealed record SynthesisRoundFolder(string Path)
{
    /// <summary>Problems that are tried.</summary>
    public string Candidates => File("candidates.jsonl");

    /// <summary>The teacher's answers to them.</summary>
    public string Traces => File("traces");

    /// <summary>Requests for problems that the teacher is to write.</summary>
    public string Requests => File("requests.jsonl");

    /// <summary>The teacher's answers to these.</summary>
    public string Invented => File(InventedProblems.Family);

    /// <summary>The student's answers to the candidates.</summary>
    public string Student => File("student");

    /// <summary>Result of the round, there once it is finished.</summary>
    public string Result => File("round.json");

    /// <summary>All traces of a collection that is complete.</summary>
    /// <param name="collection">Its folder.</param>
    /// <param name="softTargets">True for the soft targets, too.</param>
    public static async IAsyncEnumerable<Trace> ReadAsync(
        string collection,
        bool softTargets,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        var reader = await ShardReader.OpenAsync(
            collection,
            new ShardReaderOptions { SoftTargets = softTargets, VerifyChecksums = softTargets },
            cancellationToken
        );
        await foreach (var trace in reader.ReadAsync(cancellationToken))
        {
            yield return trace;
        }
    }

    string File(string name) => System.IO.Path.Combine(Path, name);
}
