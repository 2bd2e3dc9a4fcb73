using System.Diagnostics;

namespace TraceDistill.Benchmarks;

/// <summary>Runs a script of tests/peers, from the repository's root.</summary>
static class PeerScript
{
    static readonly string Folder = Path.Combine("tests", "peers");

    /// <summary>Whether what the scripts need is there; where not, says so.</summary>
    public static bool IsReady()
    {
        var isReady = Directory.Exists(Path.Combine(Folder, "node_modules"));
        if (!isReady)
        {
            Console.WriteLine("not compared: run it from the repository's root, after 'npm ci --omit=optional' in tests/peers");
        }

        return isReady;
    }

    /// <returns>What the script printed.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static string Run(string script, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(Folder, script), .. arguments]) { RedirectStandardOutput = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{script} failed");
    }
}
