using System.Diagnostics;
using System.Text;
using TraceDistill.Teachers.Wire;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

/// <summary>Not a test: prints how fast a long response with top-20 logprobs is read. Run with <c>-explicit only</c>.</summary>
public sealed class CompletionReaderThroughput(ITestOutputHelper output)
{
    [Theory(Explicit = true)]
    [InlineData(true)]
    [InlineData(false)]
    public void Read_FourThousandTokens(bool withIds)
    {
        var json = Response(tokens: 4000, k: 20, withIds);
        var clock = new Stopwatch();
        var tokens = 0L;
        for (var i = 0; i < 60; i++)
        {
            if (i == 10)
            {
                clock.Start();
                tokens = 0;
            }

            tokens += CompletionReader.Read(json, topLogprobs: 20).Logprobs!.Count;
        }

        output.WriteLine($"{json.Length / 1e6:0.0} MB, {(withIds ? "ids" : "bytes")}: {tokens / clock.Elapsed.TotalSeconds:#,0} tokens/s");
    }

    static byte[] Response(int tokens, int k, bool withIds)
    {
        var json = new StringBuilder("""{"choices":[{"message":{"role":"assistant","content":"x"},"finish_reason":"stop","logprobs":{"content":[""");
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
