using System.Text.Json.Nodes;
using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;
using TraceDistill.Tests.Support;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>Runs the command line in this process, in a folder of its own, with small verbs whose work is easy to see.</summary>
sealed class CliHarness : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public CliHarness() => Stages = [new WriteVerb(), new JoinVerb(), Count, new TellVerb()];

    /// <summary>The verbs that can be stages; small ones unless a test gives others.</summary>
    public IReadOnlyList<IVerb> Stages { get; init; }

    public IReadOnlyList<IVerb> Others { get; init; } = [];

    public ManualTime Time { get; } = new();

    public CountVerb Count { get; } = new();

    public string Out { get; private set; } = "";

    public string Error { get; private set; } = "";

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

    public Task<int> RunRecipeAsync(string yaml, params string[] more) => RunAsync(["run", Write("recipe.yaml", yaml), "--out", RunDirectory, .. more]);

    public async Task<int> RunAsync(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        var host = new CommandHost(output, error, IsInteractive: false, Time, Interruption.Token);
        var code = await TraceDistillCommand.RunAsync(arguments, [new RunVerb(Stages), .. Stages, .. Others], host);
        (Out, Error) = (output.ToString(), error.ToString().Replace(_folder.Path + Path.DirectorySeparatorChar, ""));
        return code;
    }

    public JsonNode Json => JsonNode.Parse(Out)!;

    public void Dispose()
    {
        Interruption.Dispose();
        _folder.Dispose();
    }
}
