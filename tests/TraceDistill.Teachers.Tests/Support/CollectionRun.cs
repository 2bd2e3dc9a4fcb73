using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Teachers.Options;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Support;

/// <summary>A folder with a file of sums to ask a teacher for, and with what comes of it.</summary>
sealed class CollectionRun : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public CollectionRun(int problems)
    {
        File.WriteAllLines(
            Problems,
            Enumerable
                .Range(0, problems)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            id = $"p{i:000}",
                            problem = $"What is {i} + 2?",
                            answer = $"{i + 2}",
                            family = i % 2 == 0 ? "even" : "odd",
                        }
                    )
                )
        );
    }

    public string Problems => _folder.File("problems.jsonl");

    public string Out => _folder.File("traces");

    public GenerateOptions Options(string url) =>
        new()
        {
            Problems = Problems,
            Endpoint = url,
            Model = "teacher",
            TopLogprobs = 3,
            MaxTokens = 100,
            Concurrency = 4,
            Seed = 5,
        };

    public Task<CollectSummary> RunAsync(
        ProtocolServer server,
        Func<GenerateOptions, GenerateOptions>? change = null,
        IRunObserver? observer = null,
        CancellationToken? stop = null
    )
    {
        var options = Options(server.Url);
        return CollectStage.RunAsync(
            change?.Invoke(options) ?? options,
            Out,
            MathVerifier.Instance,
            observer ?? SilentObserver.Instance,
            TestTeacher.Time(),
            stop ?? TestContext.Current.CancellationToken
        );
    }

    public async Task<List<Trace>> TracesAsync()
    {
        var reader = await ShardReader.OpenAsync(Out, cancellationToken: TestContext.Current.CancellationToken);
        return await reader.ReadAsync(TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The seeds of the traces asked for, the probe left out: each belongs to one trace.</summary>
    public static IEnumerable<long> Seeds(IEnumerable<string> requests) =>
        requests
            .Where(request => !IsProbe(request))
            .Select(request =>
            {
                using var document = JsonDocument.Parse(request);
                return document.RootElement.GetProperty("seed").GetInt64();
            });

    /// <summary>Returns whether a request is a probe's question.</summary>
    public static bool IsProbe(string request) => request.Contains("12 + 34", StringComparison.Ordinal);

    public void Dispose() => _folder.Dispose();
}
