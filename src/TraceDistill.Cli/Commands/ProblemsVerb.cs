using System.Security.Cryptography;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Commands;

/// <summary>
/// Problem sets as JSON Lines and Parquet. Into a folder (as a stage) it writes <c>train</c> and <c>held_out</c>, or one file of the same
/// name for
/// every converted one; with <c>--out FILE.jsonl</c> that file, and <c>FILE.held_out.jsonl</c> beside it.
/// </summary>
sealed class ProblemsVerb : Verb<ProblemsOptions>
{
    const string TrainSet = "train";
    const string HeldOutSet = "held_out";

    /// <summary>Beside the problem files; the name of a problem file's own stands before it where the output is a file.</summary>
    const string PictureFolder = "pictures";

    /// <summary>Pictures that are in memory before they are written.</summary>
    const int DrawnAtOnce = 4096;

    sealed record ProblemSet(string Name, int Count, IReadOnlyDictionary<string, int> Families);

    public override string Name => "problems";

    public override string Description => "Generate reasoning problems, or convert problem files";

    public override VerbOutput Output => VerbOutput.Required;

    public override IReadOnlyCollection<string> OutputNames(ProblemsOptions options)
    {
        string[] sets = options switch
        {
            { From.Count: > 0 } => NamesOf(options.From),
            { HeldOut.IsAll: true } => [HeldOutSet],
            { HeldOut.Count: > 0 } => [TrainSet, HeldOutSet],
            _ => [TrainSet],
        };
        var files = sets.SelectMany(name => new[] { name + ".jsonl", name + ".parquet" });
        return options.Pictures is null ? [.. files] : [.. files, PictureFolder];
    }

    public override bool WritesFile(ProblemsOptions options, string output) => IsFile(output);

    public override async Task<object> RunAsync(ProblemsOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var sets =
            options.From.Count > 0
                ? await ConvertAsync(options, context.Observer, cancellationToken)
                : await GenerateAsync(options, cancellationToken);
        var summary = new List<ProblemSet>();
        foreach (var (name, texts) in sets)
        {
            var problems = options.Pictures is { } drawing
                ? await DrawAsync(drawing, texts, options.Seed, PicturesOf(context), cancellationToken)
                : texts;
            foreach (var path in Targets(context, name, isFirst: summary.Count == 0))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                await ProblemWriter.WriteAsync(path, problems, cancellationToken);
            }

            summary.Add(new ProblemSet(name, problems.Count, problems.CountBy(problem => problem.Family).ToDictionary()));
            var families = summary[^1].Families.Count;
            context.Observer.Message(
                $"{name}: {Counted.Of(problems.Count, "problem")} of {families} {(families == 1 ? "family" : "families")}"
            );
        }

        return new { Sets = summary };
    }

    /// <summary>Draws the texts of problems; files are named by what they hold, so that equal ones are one.</summary>
    static Task<IReadOnlyList<Problem>> DrawAsync(
        TextDrawing drawing,
        IReadOnlyList<Problem> problems,
        int seed,
        string folder,
        CancellationToken cancellationToken
    )
    {
        Directory.CreateDirectory(folder);
        return Task.Run(
            IReadOnlyList<Problem> () =>
            {
                var drawn = new List<Problem>();
                foreach (var some in problems.Chunk(DrawnAtOnce))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var files = DrawAll(some);
                    foreach (var (path, png) in files.DistinctBy(file => file.Path))
                    {
                        AtomicFile.Write(path, stream => stream.Write(png));
                    }

                    drawn.AddRange(some.Zip(files, (problem, file) => problem with { Picture = file.Path }));
                }

                return drawn;
            },
            cancellationToken
        );

        List<(string Path, byte[] Png)> DrawAll(Problem[] some)
        {
            try
            {
                return [.. some.AsParallel().AsOrdered().Select(Draw)];
            }
            catch (AggregateException)
            {
                _ = some.Select(Draw).ToList(); // names the first problem that cannot be drawn, and it alone
                throw;
            }
        }

        (string Path, byte[] Png) Draw(Problem problem)
        {
            var png = PictureFile.ToPng(drawing.Draw(problem.Text, problem.Id, seed));
            return (Path.Combine(folder, Convert.ToHexStringLower(SHA256.HashData(png).AsSpan(0, 8)) + ".png"), png);
        }
    }

    static string PicturesOf(StageContext context)
    {
        var output = Path.GetFullPath(context.Output!);
        return context.RunDirectory is null && IsFile(output)
            ? Path.ChangeExtension(output, PictureFolder)
            : Path.Combine(output, PictureFolder);
    }

    /// <summary>Generation is one uninterruptible computation: an interrupted process leaves it behind.</summary>
    static Task<List<(string Name, IReadOnlyList<Problem> Problems)>> GenerateAsync(
        ProblemsOptions options,
        CancellationToken cancellationToken
    ) => Task.Run(() => Generate(options), cancellationToken).WaitAsync(cancellationToken);

    static List<(string Name, IReadOnlyList<Problem> Problems)> Generate(ProblemsOptions options)
    {
        var sets = new List<(string, IReadOnlyList<Problem>)>();
        IReadOnlyList<string> families = options.Family.Count > 0 ? options.Family : [ProblemGenerator.AllFamilies];
        if (!options.HeldOut.IsAll)
        {
            sets.Add((TrainSet, ProblemGenerator.Generate(families, options.Count!.Value, options.Seed, ProblemSplit.Train)));
        }

        var heldOut = options.HeldOut.IsAll ? options.Count!.Value : options.HeldOut.Count;
        if (heldOut > 0)
        {
            sets.Add((HeldOutSet, ProblemGenerator.Generate(families, heldOut, options.Seed, ProblemSplit.HeldOut)));
        }

        return options.Spans ? sets : [.. sets.Select(set => (set.Item1, Plain(set.Item2)))];

        static IReadOnlyList<Problem> Plain(IReadOnlyList<Problem> problems) =>
            [.. problems.Select(problem => problem with { Spans = [] })];
    }

    static async Task<List<(string Name, IReadOnlyList<Problem> Problems)>> ConvertAsync(
        ProblemsOptions options,
        IRunObserver observer,
        CancellationToken cancellationToken
    )
    {
        var sets = new List<(string Name, IReadOnlyList<Problem>)>();
        foreach (var (file, name) in options.From.Zip(NamesOf(options.From)))
        {
            var counts = new ProblemCounts();
            var read = ProblemReader.ReadAsync(file, options, counts, cancellationToken).Take(options.Count ?? int.MaxValue);
            sets.Add((name, await read.ToListAsync(cancellationToken)));
            foreach (var message in counts.Describe(file))
            {
                observer.Message(message);
            }
        }

        return sets;
    }

    /// <summary>The files' own names; those of files that share one say the folder too, and as many folders above as it takes.</summary>
    static string[] NamesOf(IReadOnlyList<string> files)
    {
        var names = files.Select(ProblemReader.NameOf).ToArray();
        for (var depth = 1; names.Distinct().Count() < names.Length; depth++)
        {
            var again = names.CountBy(name => name).Where(count => count.Value > 1).Select(count => count.Key).ToHashSet();
            names =
            [
                .. files.Select(
                    (file, i) =>
                        !again.Contains(names[i]) ? names[i]
                        : FolderAbove(file, depth) is { } folder ? $"{folder}-{names[i]}"
                        : throw new InvalidInputException($"from: {file} is named twice")
                ),
            ];
        }

        return names;
    }

    static string? FolderAbove(string file, int levels)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file));
        for (var i = 1; i < levels && folder is not null; i++)
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder is null || Path.GetFileName(folder).Length == 0 ? null : Path.GetFileName(folder);
    }

    static bool IsFile(string output) => Path.HasExtension(output) && !Directory.Exists(output);

    /// <summary>A stage's folder gets both formats; a file named on the command line its own, further sets beside it.</summary>
    static string[] Targets(StageContext context, string name, bool isFirst)
    {
        var output = Path.GetFullPath(context.Output!);
        var extension = Path.GetExtension(output);
        return (context.RunDirectory is null && IsFile(output), isFirst) switch
        {
            (true, true) => [output],
            (true, false) => [Path.ChangeExtension(output, name + extension)],
            _ => [Path.Combine(output, name + ".jsonl"), Path.Combine(output, name + ".parquet")],
        };
    }
}
