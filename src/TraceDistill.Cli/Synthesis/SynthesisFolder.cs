using System.Runtime.CompilerServices;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

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

    /// <summary>The settings that the rounds follow from.</summary>
    public string Settings => Path.Combine(Output, ".synthesis.json");

    /// <param name="round">From 1.</param>
    public SynthesisRoundFolder Round(int round) => new(Path.Combine(Output, Rounds, $"{round}"));

    /// <summary>Folders of the rounds that have begun, in their order.</summary>
    public IReadOnlyList<SynthesisRoundFolder> Begun() =>
        [.. Enumerable.Range(1, int.MaxValue).Select(Round).TakeWhile(round => Directory.Exists(round.Path))];

    /// <summary>Number of rounds that are finished.</summary>
    public int Finished => Begun().Count(round => File.Exists(round.Result));

    /// <summary>Copies the rounds of another folder to this one, which has none, all of them or none.</summary>
    public void TakeOver(SynthesisFolder earlier, CancellationToken cancellationToken)
    {
        var (from, half) = (Path.Combine(earlier.Output, Rounds), Path.Combine(Output, $".{Rounds}"));
        if (Directory.Exists(half))
        {
            Directory.Delete(half, recursive: true);
        }

        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var copy = Path.Combine(half, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        if (File.Exists(earlier.Settings))
        {
            AtomicFile.WriteAllText(Settings, File.ReadAllText(earlier.Settings));
        }

        DirectorySync.MoveFolder(half, Path.Combine(Output, Rounds));
    }

    /// <summary>Deletes all rounds and what was published of them. What they took of their teacher stays counted.</summary>
    public void Discard()
    {
        // What vouches for the others goes first, and a round before those that it follows from.
        File.Delete(Path.Combine(Output, ShardManifest.FileName));
        foreach (
            var file in Directory
                .GetFiles(Output, "*.parquet")
                .Concat([Problems, Data, Table, Path.Combine(Output, TaskDescription.FileName)])
        )
        {
            File.Delete(file);
        }

        foreach (var round in Begun().Reverse())
        {
            round.Discard();
        }
    }

    /// <summary>Deletes what a student answered in rounds.</summary>
    public void DeleteStudentAnswers()
    {
        foreach (var round in Begun())
        {
            round.DeleteStudentAnswers();
        }
    }
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

    /// <exception cref="InvalidInputException">The file is damaged.</exception>
    public SynthesisRound ReadResult()
    {
        try
        {
            return JsonFile.Read<SynthesisRound>(Result);
        }
        catch (JsonException e)
        {
            throw new InvalidInputException($"{Result}: does not hold the result of a round; {Remedy}", e);
        }
    }

    /// <summary>What to do about a result that is not of its round: it follows from what the round has collected.</summary>
    public const string Remedy = "restore it, or delete it to have the round's traces compared again";

    /// <summary>Deletes all but what was taken of the teacher.</summary>
    public void Discard()
    {
        System.IO.File.Delete(Result);
        DeleteStudentAnswers();
        foreach (var (requests, collection) in new[] { (Candidates, Traces), (Requests, Invented) })
        {
            CollectStage.Discard(collection);
            System.IO.File.Delete(requests);
        }
    }

    /// <summary>Deletes what the student answered.</summary>
    public void DeleteStudentAnswers()
    {
        if (Directory.Exists(Student))
        {
            Directory.Delete(Student, recursive: true);
        }
    }

    string File(string name) => System.IO.Path.Combine(Path, name);
}
