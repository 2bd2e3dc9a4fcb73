using TraceDistill.Cli.Commands;
using Xunit;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>The main job in miniature, done: a folder with a file of each kind in it.</summary>
public sealed class FinishedRun : IAsyncLifetime
{
    readonly CliHarness _cli = new()
    {
        Stages = [new ProblemsVerb(), new PretrainVerb(), new GenerateVerb(), new TrainVerb(), new EvaluateVerb(), new ReportVerb()],
        Others = [new InspectVerb(), new TokenizerTrainVerb()],
        Clock = TimeProvider.System,
    };

    public string Folder => _cli.RunDirectory;

    /// <summary>Standard error of the last command.</summary>
    public string Error => _cli.Error;

    public async ValueTask InitializeAsync()
    {
        var code = await _cli.RunRecipeAsync(MiniatureRecipe.Yaml);
        Assert.True(code == 0, Error);
        Directory.CreateDirectory(At("prompt"));
        foreach (var file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "prompts", "Reasoning", "Solve")))
        {
            File.Copy(file, At(Path.Combine("prompt", Path.GetFileName(file))));
        }
    }

    /// <summary>
    /// Runs a command; words that name something in the folder stand for its path, and "new" for a folder that nothing is in.
    /// </summary>
    public Task<int> RunAsync(string command) =>
        _cli.RunAsync([
            .. command
                .Split(' ')
                .Select(
                    (word, index) =>
                        index > 0 && Path.Exists(At(word)) ? At(word)
                        : word == "new" ? At($"new-{Guid.NewGuid():N}")
                        : word
                ),
        ]);

    /// <summary>The path of something in the folder, or beside it.</summary>
    public string At(string name) => Path.GetFullPath(name, Folder);

    public ValueTask DisposeAsync()
    {
        _cli.Dispose();
        return ValueTask.CompletedTask;
    }
}
