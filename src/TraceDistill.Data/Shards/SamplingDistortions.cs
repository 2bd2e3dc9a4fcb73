using System.Globalization;
using System.Text.Json;

namespace TraceDistill.Data.Shards;

/// <summary>
/// Settings of a request that change the distribution tokens are drawn from, other than its
/// temperature: what they take away cannot be had back.
/// </summary>
public static class SamplingDistortions
{
    /// <summary>Settings of vLLM, SGLang, llama.cpp and their kin with the values at which they do nothing.</summary>
    static readonly Dictionary<string, double[]> Neutral = new(StringComparer.Ordinal)
    {
        ["top_k"] = [-1, 0],
        ["min_p"] = [0],
        ["top_a"] = [0],
        ["tfs"] = [1],
        ["tfs_z"] = [1],
        ["typical_p"] = [1],
        ["typical"] = [1],
        ["top_n_sigma"] = [-1, 0],
        ["epsilon_cutoff"] = [0],
        ["eta_cutoff"] = [0],
        ["xtc_probability"] = [0],
        ["dynatemp_range"] = [0],
        ["mirostat"] = [0],
        ["dry_multiplier"] = [0],
        ["repetition_penalty"] = [1],
        ["repeat_penalty"] = [1],
        ["presence_penalty"] = [0],
        ["frequency_penalty"] = [0],
        ["no_repeat_ngram_size"] = [0],
        ["min_tokens"] = [0],
        ["min_new_tokens"] = [0],
    };

    /// <summary>Settings that forbid or favour tokens wherever they are given.</summary>
    static readonly HashSet<string> Masks = new(StringComparer.Ordinal)
    {
        "logit_bias",
        "bad_words",
        "allowed_token_ids",
        "grammar",
        "json_schema",
        "regex",
        "ebnf",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "structured_outputs",
        "custom_logit_processor",
        "logits_processors",
    };

    /// <returns>Each such setting with its value, as <c>top_p 0.9</c>; empty where the temperature alone was changed, or nothing.</returns>
    /// <param name="topP">The nucleus that was sampled from.</param>
    /// <param name="extraBody">More fields of each request, as the text of a JSON object; null for none.</param>
    public static IReadOnlyList<string> Of(double topP, string? extraBody)
    {
        var found = new List<string>();
        if (topP != 1)
        {
            found.Add(string.Create(CultureInfo.InvariantCulture, $"top_p {topP}"));
        }

        if (extraBody is not null)
        {
            using var json = JsonDocument.Parse(extraBody);
            Add(json.RootElement, found);
        }

        return found;
    }

    /// <returns>Why soft targets of a data set are not the model's own even with the temperature undone; null where they are.</returns>
    public static string? Warning(DatasetDescription dataset) =>
        dataset is { TopK: > 0, Logprobs: LogprobKind.Processed } && Of(dataset.TopP, dataset.ExtraBody) is [_, ..] changed
            ? $"the soft targets are what was left after {string.Join(", ", changed)}, which cannot be undone: the student learns "
                + "that distribution, not the teacher's own; collect without these settings, or learn by the hard loss alone (kd_alpha: 0)"
            : null;

    static void Add(JsonElement body, List<string> found)
    {
        if (body.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var field in body.EnumerateObject())
        {
            if (field.Name == "sampling_params")
            {
                // SGLang's own requests have them one level down.
                Add(field.Value, found);
            }
            else if (
                Neutral.TryGetValue(field.Name, out var neutral)
                    ? field.Value.ValueKind != JsonValueKind.Null
                        && !(field.Value.ValueKind == JsonValueKind.Number && neutral.Contains(field.Value.GetDouble()))
                    : Masks.Contains(field.Name)
                        && field.Value.ValueKind != JsonValueKind.Null
                        && field.Value.GetRawText() is not ("{}" or "[]")
            )
            {
                found.Add(
                    $"{field.Name} "
                        + $"{(field.Value.ValueKind is JsonValueKind.Object or JsonValueKind.Array ? "…" : field.Value.GetRawText())}"
                );
            }
        }
    }
}
