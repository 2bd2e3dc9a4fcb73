using System.Diagnostics;
using System.Text.Json;
using Xunit;

namespace TraceDistill.Tests.Support;

/// <summary>
/// Runs a reference implementation: a script of <c>tests/peers</c>, given a file with its input and one for its answer, both JSON.
/// </summary>
static class Peer
{
    /// <summary>Skips the calling test where node or its modules are not installed.</summary>
    public static JsonElement Run(string script, object input)
    {
        var peers = Path.Combine(TestPaths.RepositoryRoot, "tests", "peers");
        Assert.SkipUnless(
            Directory.Exists(Path.Combine(peers, "node_modules")),
            "the reference implementations are not installed: run 'npm ci' in tests/peers"
        );
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory.File("input.json"), JsonSerializer.Serialize(input));
        using var process = Start(
            new ProcessStartInfo("node", [Path.Combine(peers, script), directory.File("input.json"), directory.File("output.json")])
            {
                RedirectStandardError = true,
            }
        );
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
        using var output = JsonDocument.Parse(File.ReadAllBytes(directory.File("output.json")));
        return output.RootElement.Clone();
    }

    static Process Start(ProcessStartInfo info)
    {
        try
        {
            return Process.Start(info)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("node is not installed");
            throw;
        }
    }
}
