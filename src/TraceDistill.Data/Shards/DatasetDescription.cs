using System.Text.Json.Serialization;

namespace TraceDistill.Data.Shards;

/// <summary>
/// Facts that hold for every trace of a data set. Stands in the manifest, in the metadata of each shard and on the dataset card.
/// </summary>
public sealed record DatasetDescription
{
    /// <summary>
    /// Model name as the endpoint knows it; <c>human</c> for solutions written by people. Of a scored data set the model that scored.
    /// </summary>
    public required string Teacher { get; init; }

    /// <summary>Prompt function such as <c>Reasoning/Solve</c>, or null where the prompt came from elsewhere.</summary>
    public string? PromptFunction { get; init; }

    public required TokenIdentity TokenIdentity { get; init; }

    /// <summary>Hash of the teacher's tokenizer.json, or null where it is not known.</summary>
    public string? TokenizerHash { get; init; }

    /// <summary>Number of tokens that the tokenizer knows (not the padded width of an embedding), or null where it is not known.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>Hash of the chat template that rendered the prompts, or null where it is not known.</summary>
    public string? ChatTemplateHash { get; init; }

    /// <summary>Alternatives kept for each token; 0 where there are no soft targets.</summary>
    public int TopK { get; init; }

    /// <summary>
    /// N where the soft targets are N draws from the teacher's own distribution (before temperature and top-p): the alternatives of a token
    /// are the distinct ones, each with log(count / N), and nothing is outside them. Null where they are the likeliest tokens.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? SampledLogprobs { get; init; }

    /// <value><see cref="LogprobKind.Raw"/></value>
    public LogprobKind Logprobs { get; init; } = LogprobKind.Raw;

    /// <summary>Sampling temperature.</summary>
    public double Temperature { get; init; } = 1.0;

    /// <summary>Nucleus that was sampled from.</summary>
    public double TopP { get; init; } = 1.0;

    /// <summary>More fields that each request had, as the text of a JSON object; null for none.</summary>
    public string? ExtraBody { get; init; }

    /// <summary>How soft targets were attached to text that existed; null where the teacher drew the tokens that they are of.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ScoringDescription? Scoring { get; init; }
}
