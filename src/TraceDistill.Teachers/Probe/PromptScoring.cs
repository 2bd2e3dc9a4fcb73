using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Teachers.Connector;

namespace TraceDistill.Teachers.Probe;

/// <summary>Finds out whether an endpoint tells the logprobs of text that exists.</summary>
static class PromptScoring
{
    const string Text = "12 + 34 = 46";

    /// <returns><c>echo</c> or <c>none</c>.</returns>
    /// <exception cref="TeacherRequestException">The endpoint failed for a passing reason.</exception>
    public static async Task<string> FindAsync(string model, ProbeTraffic traffic, CancellationToken cancellationToken)
    {
        var request = JsonSerializer.Serialize(
            new
            {
                model,
                prompt = Text,
                max_tokens = 1,
                temperature = 1,
                echo = true,
                logprobs = 1,
                seed = CapabilityProbe.Seed,
            }
        );
        try
        {
            return IsScored(await traffic.PostAsync("completions", Encoding.UTF8.GetBytes(request), 1, cancellationToken))
                ? "echo"
                : "none";
        }
        catch (TeacherRequestException e) when (e.Status is >= 400 and < 500 and not 429 || e.IsFormat)
        {
            return "none";
        }
    }

    /// <summary>A server that does not know <c>echo</c> answers with the new token alone.</summary>
    static bool IsScored(JsonElement answer) =>
        answer.Text("choices", 0, "text") is { } text
        && text.StartsWith(Text, StringComparison.Ordinal)
        && answer.Find("choices", 0, "logprobs", "token_logprobs", 1) is { ValueKind: JsonValueKind.Number };
}
