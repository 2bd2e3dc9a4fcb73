using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace TraceDistill.Teachers.Options;

/// <summary>Price of a million tokens, in any currency.</summary>
public sealed record TokenPrice
{
    /// <summary>Of prompts.</summary>
    [Range(0.0, 1e9, ErrorMessage = "must be from 0 to 1e9")]
    [Description("Price of a million prompt tokens")]
    public required double Input { get; init; }

    /// <summary>Of answers, their reasoning included.</summary>
    [Range(0.0, 1e9, ErrorMessage = "must be from 0 to 1e9")]
    [Description("Price of a million generated tokens")]
    public required double Output { get; init; }

    /// <summary>Cost of so many tokens.</summary>
    public double Of(long promptTokens, long completionTokens) => ((promptTokens * Input) + (completionTokens * Output)) / 1e6;
}
