using System.Diagnostics;
using System.Text;
using System.Text.Json;
using TraceDistill.Teachers.Wire;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

/// <summary>Not a test: prints how fast a long response with top-20 logprobs is read. Run with <c>-explicit only</c>.</summary>
public sealed class CompletionReaderThroughput(ITestOutputHelper output)
{
    const int Tokens = 4000;

    [Theory(Explicit = true)]
    [InlineData(true)]
    [InlineData(false)]
    public void Read_FourThousandTokens(bool withIds)
    {
        var json = Response(Tokens, k: 20, withIds);
        var reader = Rate(() => CompletionReader.Read(json, topLogprobs: 20));
        var bare = Rate(() =>
        {
            var tokens = new Utf8JsonReader(json);
            while (tokens.Read()) { }
        });
        output.WriteLine(
            $"{json.Length / 1e6:0.0} MB, {(withIds ? "ids" : "bytes")}: {reader:#,0} tokens/s; stepping over the JSON alone: {bare:#,0}"
        );
    }

    static double Rate(Action read)
    {
        const int Warmup = 10;
        const int Rounds = 50;
        var clock = new Stopwatch();
        for (var i = 0; i < Warmup + Rounds; i++)
        {
            if (i == Warmup)
            {
                clock.Start();
            }

            read();
        }

        return Rounds * Tokens / clock.Elapsed.TotalSeconds;
    }

    static byte[] Response(int tokens, int k, bool withIds)
    {
        var json = new StringBuilder(
            """{"choices":[{"message":{"role":"assistant","content":"x"},"finish_reason":"stop","logprobs":{"content":["""
        );
        for (var t = 0; t < tokens; t++)
        {
            json.Append(t == 0 ? "" : ",").Append(Entry(t * 7 % 30000, -0.1 - t * 1e-4, withIds)).Append(",\"top_logprobs\":[");
            for (var i = 0; i < k; i++)
            {
                json.Append(i == 0 ? "" : ",").Append(Entry((t * 7 + i * 31) % 30000, -3.0 - i * 0.1, withIds)).Append('}');
            }

            json.Append("]}");
        }

        return Encoding.UTF8.GetBytes(json.Append("]}}]}").ToString());
    }

    static string Entry(int id, double logprob, bool withIds) =>
        $$"""{"token":" w{{id}}","logprob":{{logprob:R}},"bytes":[32,119,{{string.Join(',', Encoding.ASCII.GetBytes($"{id}"))}}]{{(withIds ? $",\"id\":{id}" : "")}}""";
}
