using System.Diagnostics;
using TraceDistill.Serving;
using TraceDistill.Serving.Model;

namespace TraceDistill.Benchmarks;

/// <summary>Generated tokens per second end to end: a server in this process, its clients in another, on the same processors.</summary>
static class ServeBenchmark
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var temporary = Directory.CreateTempSubdirectory("tracedistill-benchmark-");
        try
        {
            var directory = arguments.Text("model") ?? temporary.FullName;
            if (directory == temporary.FullName)
            {
                BenchmarkModel.Write(directory);
            }

            await using var server = await ModelServer.StartAsync(new ServeOptions { Model = directory, Port = 0 });
            for (var round = 0; round < arguments.Number("rounds", 3); round++)
            {
                var (processor, before) = (Environment.CpuUsage.TotalTime, server.Counters.GeneratedTokens);
                using var clients = Process.Start(
                    Environment.ProcessPath!,
                    ["clients", "--endpoint", server.Endpoint.ToString(), .. arguments.All]
                )!;
                await clients.WaitForExitAsync();
                var tokens = server.Counters.GeneratedTokens - before;
                Console.WriteLine(
                    $"  server: {(Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / tokens:N0} "
                        + $"µs of processor a token, {Environment.WorkingSet >> 20} MiB resident"
                );
            }

            return 0;
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }
}
