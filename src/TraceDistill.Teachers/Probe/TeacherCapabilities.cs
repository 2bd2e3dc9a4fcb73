using TraceDistill.Core.Storage;

namespace TraceDistill.Teachers.Probe;

/// <summary>What an endpoint was seen to do for one model.</summary>
public sealed record TeacherCapabilities
{
    /// <summary>The models that the endpoint lists; null where it has no list.</summary>
    public required IReadOnlyList<string>? Models { get; init; }

    /// <summary>How the endpoint names tokens.</summary>
    public required TokenIdentity TokenIdentity { get; init; }

    /// <summary>Most alternatives seen for a token; fewer than asked for where the server has a lower limit.</summary>
    public required int TopLogprobs { get; init; }

    /// <summary>Whether logprobs are those of the model or those that tokens were drawn with; raw where the two are the same or look so.</summary>
    public required LogprobKind Logprobs { get; init; }

    /// <summary>Whether the endpoint tells the ids of the rendered prompt.</summary>
    public required bool PromptTokenIds { get; init; }
}
