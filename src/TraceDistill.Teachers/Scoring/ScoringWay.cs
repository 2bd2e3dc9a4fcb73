using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Scoring;

/// <summary>A way in which a server is asked for the logprobs of a text that exists.</summary>
/// <param name="Form">Form of request and reply.</param>
sealed record ScoringWay(IScoringForm Form)
{
    /// <summary>True where it is sent text, because it takes no ids.</summary>
    public bool SendsText { get; init; }

    /// <summary>Tokens that it is asked to generate behind the text, which are of no use: some servers do not take 0.</summary>
    public int NewTokens { get; init; }

    /// <summary>True where the text goes without its beginning-of-sequence token, because the server puts one before all it gets.</summary>
    public bool LeavesOutFirst { get; init; }

    const string OfText = " of text";

    /// <summary>Its name in capabilities.</summary>
    public string Name => SendsText ? $"{Form.Name}{OfText}" : Form.Name;

    /// <summary>Returns whether a way of this name is sent text.</summary>
    public static bool IsOfText(string? name) => name?.EndsWith(OfText, StringComparison.Ordinal) == true;

    /// <summary>The ways that are worth trying with a kind of server, the likeliest first.</summary>
    public static IReadOnlyList<ScoringWay> Of(Dialect dialect) =>
        dialect.Name switch
        {
            "tracedistill" => [new(EchoForm.Instance)],
            "vllm" => [new(PromptLogprobsForm.Instance) { NewTokens = 1 }, new(EchoForm.Instance)],
            "sglang" or "sglang-generate" => [new(InputLogprobsForm.Instance)],
            _ =>
            [
                new(EchoForm.Instance),
                new(EchoForm.Instance) { NewTokens = 1 },
                new(PromptLogprobsForm.Instance) { NewTokens = 1 },
                new(EchoForm.Instance) { SendsText = true },
                new(EchoForm.Instance) { SendsText = true, NewTokens = 1 },
            ],
        };
}

/// <summary>Ways in which a server is asked to score a text.</summary>
/// <param name="Model">The model's name as the endpoint knows it.</param>
/// <param name="Dialect">The server's.</param>
/// <param name="Ids">The tokens.</param>
/// <param name="Read">The tokens that it then reads: the same, or with the one that it puts before them.</param>
/// <param name="Text">The same as text, to be sent in their place; null where ids are sent.</param>
/// <param name="First">Index in <paramref name="Ids"/> of the first token whose logprobs are wanted.</param>
/// <param name="TopLogprobs">Alternatives for each token.</param>
/// <param name="NewTokens">Tokens to generate behind them.</param>
/// <param name="DrawSeed">Seed with which alternatives are drawn; null for the likeliest. Echo alone has fields for it.</param>
sealed record ScoringCall(
    string Model,
    Dialect Dialect,
    int[] Ids,
    int[] Read,
    string? Text,
    int First,
    int TopLogprobs,
    int NewTokens,
    long? DrawSeed = null
);

/// <summary>A form in which logprobs of a text are asked for and come back.</summary>
interface IScoringForm
{
    /// <summary>Its name in capabilities, after what the server calls it.</summary>
    string Name { get; }

    /// <summary>Below the endpoint's address.</summary>
    string Route { get; }

    /// <summary>The body of the request.</summary>
    ReadOnlyMemory<byte> Write(ScoringCall call);

    /// <summary>Reads the response to it: all tokens of the text, or those from a place on that the form says.</summary>
    /// <returns>The tokens, and index in <see cref="ScoringCall.Ids"/> at which they begin if the server did as it was told.</returns>
    /// <exception cref="WireFormatException">The response is not what the protocol promises.</exception>
    (ScoredTokens Tokens, int Start) Read(ReadOnlySpan<byte> json, ScoringCall call);
}
