namespace TraceDistill.Teachers.Dialects;

/// <summary>
/// Differences between one kind of server and the others: where its routes lie, what its fields are called, what it can tell.
/// </summary>
public sealed record Dialect
{
    /// <summary>The name that recipes, capabilities and manifests know it by, such as <c>vllm</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Where a chat is asked for, below the endpoint's address.</summary>
    /// <value><c>chat/completions</c></value>
    public string ChatRoute { get; init; } = "chat/completions";

    /// <summary>The header that carries the key; in <c>Authorization</c> it stands behind <c>Bearer</c>.</summary>
    /// <value><c>Authorization</c></value>
    public string KeyHeader { get; init; } = "Authorization";

    /// <summary>Name of the field with the longest answer in tokens.</summary>
    /// <value><c>max_tokens</c></value>
    public string MaxTokensField { get; init; } = "max_tokens";

    /// <summary>
    /// True where <c>return_token_ids</c> and <c>return_tokens_as_token_ids</c> are asked for: vLLM and this project's server honour them,
    /// most others
    /// ignore them, and OpenAI refuses them.
    /// </summary>
    public bool AsksForTokenIds { get; init; }

    /// <summary>
    /// Fields that requests do without, of those that have a meaning where they are not there:
    /// <c>seed</c>, <c>stream_options</c>, and where they are 1, <c>temperature</c> and <c>top_p</c>.
    /// </summary>
    /// <value>None.</value>
    public IReadOnlySet<string> LeftOut { get; init; } = new HashSet<string>();

    /// <summary>True where the token that ends a generation is listed among those with logprobs.</summary>
    /// <value>False: it may be missing from the list while usage counts it.</value>
    public bool ListsEndOfSequence { get; init; }

    /// <summary>True where a streamed answer lists the logprobs of all its tokens.</summary>
    /// <value>True.</value>
    public bool StreamsLogprobs { get; init; } = true;

    /// <summary>Most alternatives that the server's own documents promise; null where it is a setting of each server.</summary>
    public int? MostLogprobs { get; init; }

    /// <summary>
    /// Fields that every request has, each with its JSON text. They undo defaults with which some servers sample from
    /// less than the distribution that temperature and top-p describe; <c>extra_body</c> may set them otherwise.
    /// </summary>
    public IReadOnlyDictionary<string, string> Fields { get; init; } = NoFields;

    /// <summary>Fields that a request for logprobs has besides.</summary>
    public IReadOnlyDictionary<string, string> LogprobFields { get; init; } = NoFields;

    /// <summary>True where requests and responses are SGLang's own instead of chat completions.</summary>
    public bool IsSglangGenerate { get; init; }

    static IReadOnlyDictionary<string, string> NoFields { get; } = new Dictionary<string, string>();

    public override string ToString() => Name;
}
