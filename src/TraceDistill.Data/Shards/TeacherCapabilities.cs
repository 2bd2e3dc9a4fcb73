using System.Globalization;
using System.Text.Json.Serialization;

namespace TraceDistill.Data.Shards;

/// <summary>
/// Capabilities that an endpoint was seen to have for one model before a collection began. They stand in the manifest; what could not be
/// found out is null there.
/// </summary>
public sealed record TeacherCapabilities
{
    /// <summary>The kind of server: the name of its dialect, such as <c>vllm</c>.</summary>
    public required string Dialect { get; init; }

    /// <summary>Names that the endpoint gives tokens.</summary>
    public required TokenIdentity TokenIdentity { get; init; }

    /// <summary>Alternatives granted for each token, of those asked for; 0 where there are no soft targets to be had.</summary>
    public required int TopLogprobs { get; init; }

    /// <summary>Most alternatives that the endpoint grants; null where no limit was met.</summary>
    public int? TopLogprobsLimit { get; init; }

    /// <summary>
    /// The distribution that logprobs are of, the model's or the one that tokens were drawn from; null where there are none, or that could
    /// not be told.
    /// </summary>
    public LogprobKind? Logprobs { get; init; }

    /// <summary>True where the tokens of the reasoning have logprobs; null where the answers seen had no reasoning.</summary>
    public bool? ReasoningLogprobs { get; init; }

    /// <summary>True where the token that ends a generation is among those with logprobs.</summary>
    public bool? EndOfSequenceLogprobs { get; init; }

    /// <summary>True where prompts end inside the reasoning, so that a generation has no opening tag.</summary>
    public bool OpensThinking { get; init; }

    /// <summary>True where the endpoint tells the ids of the rendered prompt.</summary>
    public bool PromptTokenIds { get; init; }

    /// <summary>
    /// The endpoint's way to score text that exists: <c>echo</c> (in its completions), <c>prompt_logprobs</c>, <c>input_token_logprobs</c>
    /// or <c>none</c>.
    /// </summary>
    public string? PromptScoring { get; init; }

    /// <summary>
    /// True where it puts a beginning-of-sequence token before each text that it is sent to score, which goes without its own then.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool AddsFirstToken { get; init; }

    /// <summary>True where one request may ask for several choices.</summary>
    public bool? SeveralChoices { get; init; }

    /// <summary>Why there are no soft targets to be had; null where there are, or none were asked for.</summary>
    public string? SoftTargetProblem { get; init; }

    /// <summary>All of it in one line for people.</summary>
    public override string ToString() =>
        string.Join(
            ", ",
            new[]
            {
                $"dialect {Dialect}",
                SoftTargetProblem is null && TopLogprobs > 0
                    ? $"top {TopLogprobs} logprobs with token {TokenIdentity.ToString().ToLowerInvariant()}"
                        + $"{(TopLogprobsLimit is { } limit ? $" (at most {limit.ToString(CultureInfo.InvariantCulture)})" : "")}"
                    : "text alone",
                Logprobs switch
                {
                    LogprobKind.Raw => "raw (before temperature)",
                    LogprobKind.Processed => "processed (after temperature)",
                    _ => null,
                },
                Tell(ReasoningLogprobs, "reasoning tokens have logprobs", "reasoning tokens have none"),
                Tell(EndOfSequenceLogprobs, "end of sequence has logprobs", "end of sequence has none"),
                OpensThinking ? "prompts open the thinking" : null,
                PromptTokenIds ? "prompt ids returned" : "no prompt ids",
                PromptScoring switch
                {
                    null => null,
                    "none" => "no prompt scoring",
                    var way => $"prompt scoring by {way}",
                },
                AddsFirstToken ? "puts its own beginning of sequence before them" : null,
                Tell(SeveralChoices, "n > 1 allowed", "n = 1 alone"),
            }.OfType<string>()
        );

    static string? Tell(bool? fact, string yes, string no) =>
        fact is null ? null
        : fact.Value ? yes
        : no;
}
