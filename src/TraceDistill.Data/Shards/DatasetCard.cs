using System.Globalization;
using System.Text;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Generation;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Shards;

/// <summary>
/// The <c>README.md</c> of a data set: front matter that Hugging Face's tools read, and what a stranger needs to use the files.
/// </summary>
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
        {
            card.Append(OtherTrainers);
        }

        if (manifest.Layout == SoftTargetLayout.Compact)
        {
            card.Append(SoftTargetFormat.Text);
        }

        return card.ToString();
    }

    static string FrontMatter(ShardManifest manifest) =>
        $"""
            ---
            configs:
            - config_name: default
              data_files:
              - split: train
                path: train-*.parquet
            {(manifest.FormatVersion >= ShardManifest.AnswerInMessages ? ConfigForTrainers : "")}task_categories:
            - text-generation
            tags:
            - reasoning
            - distillation
            - logprobs
            size_categories:
            - {SizeCategory(manifest.Rows)}
            ---

            # Reasoning traces of {OneLine(manifest.Dataset.Scoring?.Writer ?? manifest.Dataset.Teacher)}{(
                manifest.Dataset.Scoring is null ? "" : $", scored by {OneLine(manifest.Dataset.Teacher)}"
            )}


            """;

    static string Facts(ShardManifest manifest)
    {
        var dataset = manifest.Dataset;
        var kind = dataset.Logprobs == LogprobKind.Raw ? "raw (before" : "processed (after";
        return $"""
            {Count(manifest.Rows)} traces, {Count(manifest.Tokens)} generated tokens, {Count(manifest.Bytes)} bytes
            in {manifest.Shards.Count} Parquet file(s), {(
                dataset.Scoring is null ? "collected" : "scored"
            )} with TraceDistill. `manifest.json` lists the files with their sizes and
            SHA-256; the same facts stand in each file's metadata under `{ShardMetadata.Key}`.

            | | |
            | --- | --- |
            | traces | {Selected(manifest)} |
            | teacher | {OneLine(dataset.Teacher)} |{Scoring(manifest)}
            | prompt function | {OneLine(dataset.PromptFunction ?? "not known")} |
            | sampling | temperature {Number(dataset.Temperature)}, top-p {Number(dataset.TopP)} |
            | logprobs | {Alternatives(dataset)}, {kind} temperature and top-p) |
            | token identity | {dataset.TokenIdentity.ToString().ToLowerInvariant()} |
            | tokenizer | {dataset.TokenizerHash ?? "not known"} |
            | vocabulary | {dataset.VocabularySize?.ToString(CultureInfo.InvariantCulture) ?? "not known"} |
            | chat template | {dataset.ChatTemplateHash ?? "not known"} |


            """;
    }

    /// <summary>
    /// A second view of the shards, with <c>messages</c> alone and without traces that nobody should learn from: axolotl and LLaMA-Factory
    /// read a data set's name from a file and have no place for a filter. Both hand it to Hugging Face's <c>datasets</c>, which takes
    /// these keys for its Parquet reader's.
    /// </summary>
    static readonly string ConfigForTrainers = $"""
        - config_name: messages
          data_files:
          - split: train
            path: train-*.parquet
          columns: [messages]
          filters:
          - [finish_reason, in, [{string.Join(", ", FinishReasons.Answered.SelectMany(word => new[] { word, word.ToUpperInvariant() }))}]]
          - [verdict, "!=", {Verdict.Incorrect.ToName()}]
          - [answer, "!=", ""]

        """;

    const string OtherTrainers = """
        ## With other trainers

        TRL, axolotl and LLaMA-Factory train on `messages` as it stands (the hard loss alone). The configuration `messages` of this folder
        has that column and no other, and of the rows those that are finished and not wrong (datasets 3.2 or later; earlier ones say that
        they ignore `filters`). `FOLDER` is the path of this folder, or its name on the Hub.

        TRL, with the loss on the answer alone; its `max_length` is 1,024 tokens unless set:

        ```python
        from datasets import load_dataset
        from trl import SFTConfig, SFTTrainer

        traces = load_dataset("FOLDER", "messages", split="train")
        traces = traces.map(lambda row: {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}, remove_columns="messages")
        SFTTrainer(model="STUDENT", train_dataset=traces, args=SFTConfig(max_length=8192)).train()
        ```

        axolotl, in its configuration:

        ```yaml
        datasets:
        - path: FOLDER
          name: messages
          split: train
          type: chat_template
        ```

        LLaMA-Factory, in `dataset_info.json`; `hf_hub_url` takes a folder too, while `file_name` wants a single file or a folder of nothing
        but shards:

        ```json
        {
          "traces": {
            "hf_hub_url": "FOLDER",
            "subset": "messages",
            "formatting": "sharegpt",
            "columns": { "messages": "messages" },
            "tags": {
              "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"
            }
          }
        }
        ```

        A single shard does as well, with all of its columns and rows: `path: FOLDER/train-00000-of-00001.parquet` for axolotl,
        `"file_name"` for LLaMA-Factory. The student's chat template may strip `<think>` from turns that are not the last; see that it
        keeps the reasoning of the last one.


        """;

    static string Columns(ShardManifest manifest) =>
        $"""
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
            | `expected_answer`, `verdict` | string | the known answer; `correct`, `incorrect` or `unverified` (always where no answer is known, or the sample was refused) |
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

    static string Alternatives(DatasetDescription dataset) =>
        dataset.SampledLogprobs is { } draws
            ? $"soft targets are sampled: of each token {draws} draws from the teacher's distribution, each distinct one with "
                + $"log(count / {draws}), and no probability outside them"
            : $"top {dataset.TopK}";

    /// <summary>Lines of the table that scored data sets have besides.</summary>
    static string Scoring(ShardManifest manifest) =>
        manifest.Dataset.Scoring is not { } scoring
            ? ""
            : $"\n| written by | {OneLine(scoring.Writer)}; the teacher scored what was written, and drew none of it |"
                + $"\n| scored at | temperature {Number(scoring.Temperature)}, "
                + scoring.BeginOfSequence switch
                {
                    BeginOfSequence.Sent => "behind the template's beginning-of-sequence token |",
                    BeginOfSequence.AddedByServer => "behind a beginning-of-sequence token that the server puts there |",
                    _ => "without a beginning-of-sequence token |",
                }
                + (scoring.Prompt is { } prompt ? $"\n| scored behind | {OneLine(prompt)}, in place of the text's own prompt |" : "")
                + (manifest.Unscored is { } unscored ? $"\n| without soft targets | {unscored} |" : "");

    static string Selected(ShardManifest manifest) =>
        manifest.Dataset.Scoring is not null ? "those of the source, in its order"
        : manifest.Selection is { } selection ? $"{Kept(selection)}, {Count(manifest.Rows)} of {Count(selection.Collected)} collected"
        : "all that were collected, right and wrong";

    static string Kept(TraceSelection selection) =>
        selection.MinAgreement is not { } least
            ? "those with a correct answer"
            : FormattableString.Invariant($"those whose answer at least {least:0.##} of the problem's samples give")
                + (selection.OnlyCorrect ? ", or the correct one where it is known" : "");

    static string AnswerInMessages(ShardManifest manifest) =>
        manifest.FormatVersion < ShardManifest.AnswerInMessages
            ? " that was answered"
            : ", the assistant's turn last: `<think>`, reasoning and `</think>` on lines of their own, a blank line, the answer; "
                + "without `</think>` where it was cut off before";

    static string SoftTargetColumns(ShardManifest manifest) =>
        manifest.Layout == SoftTargetLayout.Compact
            ? "| `soft_targets` | binary | alternatives of every token and the mass outside them, in the format below |"
            : $"| `topk_ids`, `topk_logprobs` | list of int32, list of float | alternatives, tokens × {manifest.Dataset.TopK}, best first; "
                + "short rows end in id −1, logprob −∞ |";

    static string SizeCategory(long rows) =>
        rows switch
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
