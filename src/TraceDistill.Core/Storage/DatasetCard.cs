using System.Globalization;
using System.Text;

namespace TraceDistill.Core.Storage;

/// <summary>The <c>README.md</c> of a data set: front matter that Hugging Face's tools read, and what a stranger needs to use the files.</summary>
static class DatasetCard
{
    public const string FileName = "README.md";

    /// <summary>Writes the card into <paramref name="directory"/>, whole or not at all.</summary>
    public static void Save(string directory, ShardManifest manifest, string writer = "") =>
        AtomicFile.WriteAllText(Path.Combine(directory, FileName), Write(manifest), writer);

    /// <summary>The text of the card.</summary>
    public static string Write(ShardManifest manifest)
    {
        var card = new StringBuilder();
        card.Append(FrontMatter(manifest)).Append(Facts(manifest)).Append(Columns(manifest));
        if (manifest.FormatVersion >= ShardManifest.AnswerInMessages)
            card.Append(OtherTrainers);

        if (manifest.Layout == SoftTargetLayout.Compact)
            card.Append(SoftTargetFormat.Text);

        return card.ToString();
    }

    static string FrontMatter(ShardManifest manifest) => $"""
        ---
        configs:
        - config_name: default
          data_files:
          - split: train
            path: train-*.parquet
        task_categories:
        - text-generation
        tags:
        - reasoning
        - distillation
        - logprobs
        size_categories:
        - {SizeCategory(manifest.Rows)}
        ---

        # Reasoning traces of {OneLine(manifest.Dataset.Teacher)}


        """;

    static string Facts(ShardManifest manifest)
    {
        var dataset = manifest.Dataset;
        return $"""
            {Count(manifest.Rows)} traces, {Count(manifest.Tokens)} generated tokens, {Count(manifest.Bytes)} bytes in {manifest.Shards.Count} Parquet file(s),
            collected with TraceDistill. `manifest.json` lists the files with their sizes and SHA-256; the same facts stand in each
            file's metadata under `{ShardMetadata.Key}`.

            | | |
            | --- | --- |
            | traces | {Selected(manifest)} |
            | teacher | {OneLine(dataset.Teacher)} |
            | prompt function | {OneLine(dataset.PromptFunction ?? "not known")} |
            | sampling | temperature {Number(dataset.Temperature)}, top-p {Number(dataset.TopP)} |
            | logprobs | top {dataset.TopK}, {(dataset.Logprobs == LogprobKind.Raw ? "raw (before temperature and top-p)" : "processed (after temperature and top-p)")} |
            | token identity | {dataset.TokenIdentity.ToString().ToLowerInvariant()} |
            | tokenizer | {dataset.TokenizerHash ?? "not known"} |
            | vocabulary | {dataset.VocabularySize?.ToString(CultureInfo.InvariantCulture) ?? "not known"} |
            | chat template | {dataset.ChatTemplateHash ?? "not known"} |


            """;
    }

    const string OtherTrainers = """
        ## With other trainers

        TRL, axolotl and LLaMA-Factory train on `messages` as it stands (the hard loss alone). Keep the rows that are finished and right:

        ```python
        traces = load_dataset("parquet", data_files="train-*.parquet", split="train")
        traces = traces.filter(lambda row: row["finish_reason"] == "stop" and row["verdict"] == "correct").select_columns(["messages"])
        ```

        The student's chat template may strip `<think>` from turns that are not the last; see that it keeps the reasoning of the last one.


        """;

    static string Columns(ShardManifest manifest) => $"""
        ## Columns

        One row is one trace. Row t of the soft targets is the distribution from which token t was drawn; nothing is shifted.
        Traces without token ids have null in `token_ids`, `token_logprobs` and the soft targets.

        | column | type | content |
        | --- | --- | --- |
        | `id` | string | content hash of problem, prompt, teacher, sampling settings and sample index |
        | `problem_id`, `source` | string | the problem, and its family or data set |
        | `messages` | list of struct(role, content) | the conversation{AnswerInMessages(manifest)} |
        | `reasoning`, `answer` | string | the thinking without its tags, and what follows it |
        | `generation` | string | the raw generated text, tags as the teacher wrote them and without an end token; where a server told reasoning and answer apart, `<think>`, reasoning, `</think>` and answer put together |
        | `expected_answer`, `verdict` | string | the known answer; `correct`, `incorrect` or `unverified` (always where no answer is known) |
        | `finish_reason` | string | the server's own word: `stop`, `length`, …; `unknown` where it gave none, or `human` |
        | `sample_index`, `seed` | int32, int64 | which sample of the problem, and its seed |
        | `temperature`, `top_p` | double | sampling settings |
        | `teacher` | string | model name |
        | `prompt_tokens`, `completion_tokens`, `latency_ms` | int32 | lengths in tokens, duration in milliseconds |
        | `created_at` | timestamp (UTC, microseconds) | when the trace was collected |
        | `token_ids`, `token_logprobs` | list of int32, list of float | the tokens drawn and their natural-log probabilities, exact |
        {SoftTargetColumns(manifest)}
        | `prompt_token_ids` | list of int32 | the rendered prompt in the teacher's tokens; empty where not known |
        | `tool_calls` | string | the tools that the teacher called, a JSON list as in chat completions; null where it called none |


        """;

    static string Selected(ShardManifest manifest) => manifest.Selection is { } selection
        ? $"those with a correct answer, {Count(manifest.Rows)} of {Count(selection.Collected)} collected"
        : "all that were collected, right and wrong";

    static string AnswerInMessages(ShardManifest manifest) => manifest.FormatVersion < ShardManifest.AnswerInMessages ? " that was answered"
        : ", the assistant's turn last: `<think>`, reasoning and `</think>` on lines of their own, a blank line, the answer; without `</think>` where it was cut off before";

    static string SoftTargetColumns(ShardManifest manifest) => manifest.Layout == SoftTargetLayout.Compact
        ? "| `soft_targets` | binary | alternatives of every token and the mass outside them, in the format below |"
        : $"| `topk_ids`, `topk_logprobs` | list of int32, list of float | alternatives, tokens × {manifest.Dataset.TopK}, best first; short rows end in id −1, logprob −∞ |";

    static string SizeCategory(long rows) => rows switch
    {
        < 1_000 => "n<1K",
        < 10_000 => "1K<n<10K",
        < 100_000 => "10K<n<100K",
        < 1_000_000 => "100K<n<1M",
        < 10_000_000 => "1M<n<10M",
        _ => "n>10M",
    };

    static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    static string Number(double number) => number.ToString(CultureInfo.InvariantCulture);

    // A name is someone else's text: keep it from ending the table's cell.
    static string OneLine(string text) => text.ReplaceLineEndings(" ").Replace("|", "\\|");
}
