using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace TraceDistill.Benchmarks;

/// <summary>Concurrent clients that ask for chat completions with logprobs and read every byte of the answers.</summary>
static class HttpClients
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        int clients = arguments.Number("clients", 32),
            requests = arguments.Number("requests", 256);
        using var client = new HttpClient { BaseAddress = new Uri(arguments.Text("endpoint")!), Timeout = Timeout.InfiniteTimeSpan };
        await AskAsync(client, arguments, seed: -1); // Connections and code are warm.
        var (next, tokens, bytes) = (0, 0L, 0L);
        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(
            Enumerable
                .Range(0, clients)
                .Select(async _ =>
                {
                    for (var seed = Interlocked.Increment(ref next); seed <= requests; seed = Interlocked.Increment(ref next))
                    {
                        var body = await AskAsync(client, arguments, seed);
                        Interlocked.Add(ref tokens, CompletionTokens(body));
                        Interlocked.Add(ref bytes, body.Length);
                    }
                })
        );
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Console.WriteLine(
            $"{tokens / seconds:N0} tokens/s over HTTP ({requests} requests by {clients} clients, "
                + $"{tokens / requests} tokens and {bytes / requests / 1000} kB each, top {arguments.Number("top", 20)}, {seconds:F1} s)"
        );
        return 0;
    }

    static async Task<byte[]> AskAsync(HttpClient client, Arguments arguments, int seed)
    {
        var end = arguments.Text("model") == null ? ",\"ignore_eos\":true" : "";
        var body = string.Create(
            CultureInfo.InvariantCulture,
            $$"""
            {"messages":[{"role":"user","content":"What is {{seed}} + 34?"}],"max_tokens":{{arguments.Number(
                "tokens",
                300
            )}},"temperature":1,"seed":{{seed}},
             "logprobs":true,"top_logprobs":{{arguments.Number("top", 20)}},"return_token_ids":true{{end}}}
            """
        );
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await client.PostAsync(new Uri("v1/chat/completions", UriKind.Relative), content);
        var answer = await response.Content.ReadAsByteArrayAsync();
        return response.IsSuccessStatusCode ? answer : throw new InvalidOperationException(Encoding.UTF8.GetString(answer));
    }

    /// <summary>Usage is the last member, so little need be parsed.</summary>
    static int CompletionTokens(byte[] body)
    {
        var name = "\"completion_tokens\":"u8;
        var reader = new Utf8JsonReader(body.AsSpan(body.AsSpan().LastIndexOf(name) + name.Length));
        reader.Read();
        return reader.GetInt32();
    }
}
