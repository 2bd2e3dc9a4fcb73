using System.Text.Json.Nodes;
using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>Runs the command line in this process, in a folder of its own, with small verbs whose work is easy to see.</summary>
sealed class CliHarness : IDisposable
{
    readonly TemporaryDirectory _folder = new();
    HeardWriter _error = new();

    public CliHarness() => Stages = [new WriteVerb(), new JoinVerb(), Count, new TellVerb()];

    /// <summary>The verbs that can be stages; small ones unless a test gives others.</summary>
    public IReadOnlyList<IVerb> Stages { get; init; }

    public IReadOnlyList<IVerb> Others { get; init; } = [];

    public VirtualTime Time { get; init; } = new();

    /// <summary><see cref="Time"/>, unless a test needs a clock that moves.</summary>
    public TimeProvider? Clock { get; init; }

    public CountVerb Count { get; } = new();

    public string Out { get; private set; } = "";

    public string Error => _error.ToString().Replace(_folder.Path + Path.DirectorySeparatorChar, "");

    public CancellationTokenSource Interruption { get; set; } = new();

    /// <summary>The only run directory.</summary>
    public string RunDirectory => File("run");

    public string File(string name) => _folder.File(name);

    public string Read(string name) => System.IO.File.ReadAllText(Path.Combine(RunDirectory, name));

    public string Write(string name, string text)
    {
        System.IO.File.WriteAllText(File(name), text);
        return File(name);
    }

    public Task<int> RunRecipeAsync(string yaml, params string[] more) =>
        RunAsync(["run", Write("recipe.yaml", yaml), "--out", RunDirectory, .. more]);

    public async Task<int> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        _error = new HeardWriter();
        var host = new CommandHost(output, _error, IsInteractive: false, Clock ?? Time, Interruption.Token)
        {
            AllowedKeysFile = File("allowed-keys"),
        };
        var code = await TraceDistillCommand.RunAsync(arguments, [new RunVerb(Stages, OwnProcess.Instance), .. Stages, .. Others], host);
        Out = output.ToString();
        return code;
    }

    /// <summary>Ends when the command that is running has said this on standard error.</summary>
    public Task Said(string text) => _error.Heard(text);

    public JsonNode Json => JsonNode.Parse(Out)!;

    public void Dispose()
    {
        Interruption.Dispose();
        _error.Dispose();
        _folder.Dispose();
    }
}
