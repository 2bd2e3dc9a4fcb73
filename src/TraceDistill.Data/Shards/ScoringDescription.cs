using System.Text.Json.Serialization;

namespace TraceDistill.Data.Shards;

/// <summary>
/// Says that the soft targets of a data set were attached to text that existed: the <see cref="DatasetDescription.Teacher"/> scored it and
/// somebody else, or the teacher itself before, had written it.
/// </summary>
public sealed record ScoringDescription
{
    /// <summary>Author of the text: a model's name, or <c>human</c>.</summary>
    public required string Writer { get; init; }

    /// <summary>Temperature at which the logprobs were asked for; where it is 1, raw and processed ones are the same numbers.</summary>
    public double Temperature { get; init; } = 1.0;

    /// <summary>Name of the prompt that the teacher read in place of the text's own; null where it read that one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Prompt { get; init; }

    /// <summary>The beginning of the teacher's texts.</summary>
    public BeginOfSequence BeginOfSequence { get; init; }
}

/// <summary>The beginning-of-sequence token of texts that are scored.</summary>
public enum BeginOfSequence
{
    /// <summary>The teacher's chat template writes none, and none was read.</summary>
    None,

    /// <summary>The teacher's chat template writes one, and it was sent with the text.</summary>
    Sent,

    /// <summary>The teacher's chat template writes one, and its server puts one before all it is sent, so the text went without.</summary>
    AddedByServer,
}
