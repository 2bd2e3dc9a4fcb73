using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Cli.Recipes;

/// <summary>
/// An order to a stage's process beside its command line, which is that of the verb: it stands as JSON in an environment variable,
/// and makes the command tell of itself by <see cref="StageEvent"/>s and end, resumable, once its standard input is closed.
/// </summary>
/// <param name="RunDirectory">The folder of the run.</param>
/// <param name="Published">The stage's folder once it is finished.</param>
sealed record StageOrder(string RunDirectory, string Published)
{
    public const string Variable = "TRACEDISTILL_STAGE";

    public string ToText() => JsonSerializer.Serialize(this, JsonFile.Line);

    /// <summary>Takes the order out of the environment, which the processes that this one starts inherit.</summary>
    /// <returns>Null for a command that no run started.</returns>
    public static StageOrder? Take()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 0 } text)
        {
            return null;
        }

        Environment.SetEnvironmentVariable(Variable, null);
        return JsonSerializer.Deserialize<StageOrder>(text, JsonFile.Line);
    }
}
