using System.Text.Json.Nodes;
using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;
using TraceDistill.Tests.Support;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>Runs the command line in this process, in a folder of its own, with small verbs whose work is easy to see.</summary>
sealed class CliHarness : IDisposable
{
    readonly TemporaryDirectory _folder = new();
    readonly CountVerb _count = new();

    public ManualTime Time { get; } = new();

    public CountVerb Count => _count;

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
        IVerb[] stages = [new WriteVerb(), new JoinVerb(), _count, new TellVerb()];
        var host = new CommandHost(output, error, IsInteractive: false, Time, Interruption.Token);
        var code = await TraceDistillCommand.RunAsync(arguments, [new RunVerb(stages), .. stages], host);
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
