using System.ComponentModel;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Stages;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Tests.Support;

public sealed record WriteOptions
{
    [Description("What to write")]
    public required string Text { get; init; }

    public long Seed { get; init; }

    [Operational]
    public string? StoppedBy { get; init; }
}

public sealed record WeighedText : IParsable<WeighedText>
{
    [InputPath]
    public required string Path { get; init; }

    public string Weight { get; init; } = "";

    [Operational]
    public string Note { get; init; } = "";

    public static WeighedText Parse(string s, IFormatProvider? provider) => new() { Path = s };

    public static bool TryParse(string? s, IFormatProvider? provider, out WeighedText result)
    {
        result = new WeighedText { Path = s ?? "" };
        return s is not null;
    }
}

public sealed record JoinOptions
{
    [InputPath]
    public string? First { get; init; }

    [InputPath]
    public IReadOnlyList<string> Parts { get; init; } = [];

    [InputPath]
    public IReadOnlyList<WeighedText> Weighed { get; init; } = [];

    [InputPath]
    public IReadOnlyDictionary<string, string> Named { get; init; } = new Dictionary<string, string>();

    public WeighedText? Inner { get; init; }

    public string Tag { get; init; } = "";

    public long Seed { get; init; }
}

public sealed record CountOptions
{
    [Description("How far to count")]
    public int To { get; init; } = 10;
}

public sealed record TellOptions;

/// <summary>Writes <c>text.txt</c>, and <c>more/seed.txt</c> with the seed.</summary>
sealed class WriteVerb : Verb<WriteOptions>
{
    public override string Name => "write";

    public override string Description => "Write a text";

    public override VerbOutput Output => VerbOutput.Required;

    public override IReadOnlyCollection<string> OutputNames(WriteOptions options) => ["text.txt", "more"];

    public override Task<object> RunAsync(WriteOptions options, StageContext context, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.Combine(context.Output!, "more"));
        File.WriteAllText(Path.Combine(context.Output!, "text.txt"), options.Text);
        File.WriteAllText(Path.Combine(context.Output!, "more", "seed.txt"), $"{options.Seed}");
        return Task.FromResult<object>(new { options.Text.Length, options.StoppedBy });
    }
}

/// <summary>Joins the files it is given into <c>joined.txt</c>; a folder stands for the <c>text.txt</c> in it.</summary>
sealed class JoinVerb : Verb<JoinOptions>
{
    public override string Name => "join";

    public override string Description => "Join texts";

    public override VerbOutput Output => VerbOutput.Optional;

    public override Task<object> RunAsync(JoinOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var texts = new[] { options.First }
            .OfType<string>()
            .Concat(options.Parts)
            .Select(Read)
            .Concat(options.Named.Select(pair => $"{pair.Key}={Read(pair.Value)}"));
        var joined = string.Join("+", texts) + options.Tag;
        if (context.Output is { } output)
        {
            File.WriteAllText(Path.Combine(output, "joined.txt"), joined);
        }

        return Task.FromResult<object>(new { Joined = joined });
    }

    static string Read(string path) => File.ReadAllText(Directory.Exists(path) ? Path.Combine(path, "text.txt") : path);
}

/// <summary>Counts on in <c>count.txt</c> and can be stopped anywhere; remembers every number that it counted in this process.</summary>
sealed class CountVerb : Verb<CountOptions>
{
    public List<int> Counted { get; } = [];

    /// <summary>Called before each number.</summary>
    public Action<int> Before { get; set; } = _ => { };

    /// <summary>Called before each number with the stage's own end, which tells stages apart.</summary>
    public Action<int, int> BeforeOf { get; set; } = (_, _) => { };

    public override string Name => "count";

    public override string Description => "Count";

    public override VerbOutput Output => VerbOutput.Required;

    public override bool IsResumable => true;

    public override bool RunsBesideOthers(CountOptions options) => true;

    public override Task<object> RunAsync(CountOptions options, StageContext context, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(context.Output!);
        var file = Path.Combine(context.Output!, "count.txt");
        var done = File.Exists(file) ? File.ReadAllLines(file).Length : 0;
        for (var number = done + 1; number <= options.To; number++)
        {
            Before(number);
            BeforeOf(options.To, number);
            cancellationToken.ThrowIfCancellationRequested();
            File.AppendAllText(file, $"{number}\n");
            lock (Counted)
            {
                Counted.Add(number);
            }

            context.Observer.Metrics(number, new Dictionary<string, double> { ["square"] = number * number });
            context.Observer.Progress("count", number, options.To, "numbers");
        }

        return Task.FromResult<object>(new { Last = options.To });
    }
}

/// <summary>Tells which stages it sees, in a file that belongs into the run directory.</summary>
sealed class TellVerb : Verb<TellOptions>
{
    public override string Name => "tell";

    public override string Description => "Tell what is there";

    public override VerbOutput Output => VerbOutput.Optional;

    public override bool ReadsWholeRun => true;

    public override IReadOnlyList<string> RunDirectoryFiles => ["told.txt"];

    public override Task<object> RunAsync(TellOptions options, StageContext context, CancellationToken cancellationToken)
    {
        var stages = Directory
            .GetDirectories(context.RunDirectory!)
            .Select(Path.GetFileName)
            .Where(name => !name!.StartsWith('.') && name != "tensorboard")
            .Order();
        File.WriteAllText(Path.Combine(context.Output!, "told.txt"), string.Join(' ', stages));
        return Task.FromResult<object>(new { });
    }
}
