using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Scoring;

namespace TraceDistill.Teachers.Probe;

/// <summary>
/// Finds out whether an endpoint tells the logprobs of text that exists, in the ways that <see cref="ScoringProbe"/> knows for its kind of
/// server and in their order. It is asked with text, so that nobody needs its tokenizer.
/// </summary>
static class PromptScoring
{
    const string Text = "12 + 34 = 46";

    /// <returns>Name of the first way that works, as of <see cref="ScoringWay.Name"/>, or <c>none</c>.</returns>
    /// <exception cref="TeacherRequestException">The endpoint failed for a passing reason.</exception>
    public static async Task<string> FindAsync(string model, Dialect dialect, ProbeTraffic traffic, CancellationToken cancellationToken)
    {
        foreach (var form in ScoringWay.Of(dialect).Select(way => way.Form).Distinct())
        {
            try
            {
                var request = JsonSerializer.SerializeToUtf8Bytes(RequestOf(form, model));
                if (IsScored(form, await traffic.PostAsync(form.Route, request, 1, cancellationToken)))
                {
                    return form.Name;
                }
            }
            catch (TeacherRequestException e) when (e.Status is >= 400 and < 500 and not 429 || e.IsFormat)
            {
                // It does not know this way.
            }
        }

        return "none";
    }

    static object RequestOf(IScoringForm form, string model) =>
        form switch
        {
            PromptLogprobsForm => new
            {
                model,
                prompt = Text,
                max_tokens = 1,
                temperature = 1,
                prompt_logprobs = 1,
                seed = CapabilityProbe.Seed,
            },
            InputLogprobsForm => new
            {
                text = Text,
                sampling_params = new { temperature = 1, max_new_tokens = 1 },
                return_logprob = true,
                logprob_start_len = 0,
                top_logprobs_num = 1,
            },
            _ => new
            {
                model,
                prompt = Text,
                max_tokens = 1,
                temperature = 1,
                echo = true,
                logprobs = 1,
                seed = CapabilityProbe.Seed,
            },
        };

    /// <summary>A server that does not know a field answers without what it asks for; the second token is the first that has one.</summary>
    static bool IsScored(IScoringForm form, JsonElement answer) =>
        form switch
        {
            PromptLogprobsForm => (answer.Find("choices", 0, "prompt_logprobs", 1) ?? answer.Find("prompt_logprobs", 1))
                is { ValueKind: JsonValueKind.Object } entries
                && entries.EnumerateObject().FirstOrDefault() is { Value: { ValueKind: JsonValueKind.Object } entry }
                && entry.Find("logprob") is { ValueKind: JsonValueKind.Number },
            InputLogprobsForm => answer.Find("meta_info", "input_token_logprobs", 1, 0) is { ValueKind: JsonValueKind.Number },
            // A server that does not know echo answers with the new token alone.
            _ => answer.Text("choices", 0, "text") is { } text
                && text.StartsWith(Text, StringComparison.Ordinal)
                && answer.Find("choices", 0, "logprobs", "token_logprobs", 1) is { ValueKind: JsonValueKind.Number },
        };
}
