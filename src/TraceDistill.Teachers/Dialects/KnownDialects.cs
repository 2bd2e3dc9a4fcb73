using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Dialects;

/// <summary>The servers that are known, and the form of any other.</summary>
public static class KnownDialects
{
    /// <summary>Word with which a recipe has the dialect found out.</summary>
    public const string Auto = "auto";

    /// <summary>Description of the options that name a dialect.</summary>
    public const string Help =
        "Dialect of the endpoint's server: auto, openai, azure, vllm, sglang, sglang-generate, llamacpp, deepseek, openrouter, "
        + "ollama, tgi, tracedistill or compatible";

    // Without them vLLM and SGLang take top-k and the like from the model's
    // generation_config.json, and llama.cpp cuts to 40 tokens and min-p 0.05.
    static readonly Dictionary<string, string> WholeDistribution = new()
    {
        ["top_k"] = "-1",
        ["min_p"] = "0",
        ["repetition_penalty"] = "1",
    };

    /// <summary>Any other server of chat completions: plain fields, and token ids asked for until it refuses them.</summary>
    public static Dialect Compatible { get; } = new() { Name = "compatible", AsksForTokenIds = true };

    public static Dialect OpenAI { get; } =
        new()
        {
            Name = "openai",
            MaxTokensField = "max_completion_tokens",
            MostLogprobs = 20,
        };

    public static Dialect Azure { get; } = OpenAI with { Name = "azure", KeyHeader = "api-key" };

    public static Dialect Vllm { get; } =
        new()
        {
            Name = "vllm",
            AsksForTokenIds = true,
            ListsEndOfSequence = true,
            Fields = WholeDistribution,
        };

    public static Dialect Sglang { get; } =
        new()
        {
            Name = "sglang",
            ListsEndOfSequence = true,
            Fields = WholeDistribution,
        };

    /// <summary>
    /// Tells true token ids, which SGLang's chat does not; the prompt is rendered here, with the teacher's own chat template.
    /// </summary>
    public static Dialect SglangGenerate { get; } =
        Sglang with
        {
            Name = "sglang-generate",
            ChatRoute = "../generate",
            IsSglangGenerate = true,
        };

    public static Dialect LlamaCpp { get; } =
        new()
        {
            Name = "llamacpp",
            ListsEndOfSequence = true,

            // A piece tells the logprobs of its text alone: </think>, the end, and all but the last token of a character are missing.
            StreamsLogprobs = false,
            Fields = new Dictionary<string, string>
            {
                ["top_k"] = "0",
                ["min_p"] = "0",
                ["repeat_penalty"] = "1",
            },
        };

    public static Dialect DeepSeek { get; } = new() { Name = "deepseek", MostLogprobs = 20 };

    /// <summary>Routes to many providers: without the extra field it takes one that leaves logprobs out in silence.</summary>
    public static Dialect OpenRouter { get; } =
        new()
        {
            Name = "openrouter",
            MostLogprobs = 20,
            LogprobFields = new Dictionary<string, string> { ["provider"] = """{"require_parameters":true}""" },
        };

    public static Dialect Ollama { get; } = new() { Name = "ollama", MostLogprobs = 20 };

    /// <summary>Names tokens by their text alone, and calls alternatives <c>top_n_tokens</c> when it refuses too many.</summary>
    public static Dialect Tgi { get; } =
        new()
        {
            Name = "tgi",
            LeftOut = new HashSet<string> { "top_p" },
        };

    public static Dialect TraceDistill { get; } =
        new()
        {
            Name = "tracedistill",
            AsksForTokenIds = true,
            ListsEndOfSequence = true,
        };

    /// <summary>All that a recipe may name.</summary>
    public static IReadOnlyList<Dialect> All { get; } =
    [OpenAI, Azure, Vllm, Sglang, SglangGenerate, LlamaCpp, DeepSeek, OpenRouter, Ollama, Tgi, TraceDistill, Compatible];

    /// <summary>Values of <c>dialect</c>: <see cref="Auto"/>, and the names of all.</summary>
    public static IReadOnlyList<string> Names { get; } = [Auto, .. All.Select(dialect => dialect.Name)];

    /// <returns>Null for <see cref="Auto"/>.</returns>
    /// <exception cref="InvalidInputException">No dialect is called so.</exception>
    public static Dialect? Find(string name) =>
        name == Auto
            ? null
            : All.FirstOrDefault(dialect => dialect.Name == name)
                ?? throw new InvalidInputException($"dialect: unknown dialect '{name}'; {NearestName.Suggestion(name, Names)}");
}
