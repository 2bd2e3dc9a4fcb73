using System.Globalization;
using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Traces;
using TraceDistill.Text.Chat;

namespace TraceDistill.TestServer.Soak;

/// <summary>The problems of a soak: <c>What is i + 2?</c></summary>
static class SoakProblem
{
    const string Start = "What is ";
    const string End = " + 2?";

    public static string Line(int number) =>
        JsonSerializer.Serialize(
            new
            {
                id = Id(number),
                problem = $"{Start}{number}{End}",
                answer = $"{number + 2}",
                family = "addition",
            }
        );

    /// <summary>The id of the trace that a request asks for; null where it is a probe.</summary>
    public static string? TraceIdOf(JsonElement request)
    {
        var text = request.GetProperty("messages")[0].GetProperty("content").GetString()!;
        if (
            !text.StartsWith(Start, StringComparison.Ordinal)
            || !text.EndsWith(End, StringComparison.Ordinal)
            || !int.TryParse(text.AsSpan()[Start.Length..^End.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        )
        {
            return null;
        }

        var sampling = new SamplingSettings
        {
            Temperature = 1,
            TopP = 1,
            MaxTokens = SoakOptions.MaxTokens,
            TopLogprobs = SoakOptions.TopLogprobs,
            Seed = request.GetProperty("seed").GetInt64(),
        };
        return TraceId.Create(Id(number), [new ChatMessage("user", text)], "teacher", sampling, sampleIndex: 0);
    }

    static string Id(int number) => $"p{number:000000}";
}
