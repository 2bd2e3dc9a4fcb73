using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Serving.Protocol;

/// <summary>Fields of a request that both endpoints have for generation.</summary>
sealed record GenerationFields
{
    const int MostChoices = 128;
    const int MostStops = 16;
    const int MostDraws = 256;

    /// <value>1.0</value>
    public double Temperature { get; private init; }

    /// <value>1.0. Zero keeps the likeliest token alone.</value>
    public double TopP { get; private init; }

    /// <value>0: the whole vocabulary.</value>
    public int TopK { get; private init; }

    /// <value>1</value>
    public int Choices { get; private init; }

    public long? Seed { get; private init; }

    /// <summary>UTF-8 of the texts that end a generation.</summary>
    public required IReadOnlyList<byte[]> Stops { get; init; }

    /// <summary>Generates on past end-of-sequence tokens (vLLM's field).</summary>
    public bool IgnoreEndOfSequence { get; private init; }

    /// <summary>True where token ids are listed (vLLM's field).</summary>
    public bool ReturnTokenIds { get; private init; }

    /// <summary>True where token strings are <c>token_id:N</c>, which, unlike text, is unique (vLLM's field).</summary>
    public bool TokensAsTokenIds { get; private init; }

    /// <summary>
    /// N: the reported alternatives of each token, echoed ones included, are N independent draws with replacement from the model's own
    /// distribution (raw: before temperature, top-p and top-k) in place of the likeliest ones. Each distinct token stands there once, with
    /// its count, and its logprob is log p̂ with p̂ = count / N; the token itself keeps its own true logprob. The draws are reproducible
    /// from <see cref="Seed"/>, the choice's index and the token's position. Null: the likeliest ones (a field of this server's own).
    /// </summary>
    public int? SampledLogprobs { get; private init; }

    public bool Stream { get; private init; }

    /// <summary>True where a stream ends with a chunk that tells usage.</summary>
    public bool StreamUsage { get; private init; }

    public static GenerationFields Read(RequestFields fields)
    {
        foreach (
            var (name, neutral) in new[]
            {
                ("presence_penalty", 0),
                ("frequency_penalty", 0),
                ("repetition_penalty", 1),
                ("min_p", 0),
                ("min_tokens", 0),
            }
        )
        {
            fields.Refuse(name, value => value.ValueKind == JsonValueKind.Number && value.GetDouble() == neutral);
        }

        fields.Refuse("response_format", IsPlainText);
        fields.Refuse("logit_bias", value => value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any());
        return new GenerationFields
        {
            Temperature = fields.Number("temperature", 0, double.MaxValue) ?? 1,
            TopP = fields.Number("top_p", 0, 1) ?? 1,
            TopK = int.Max(0, fields.Integer("top_k", -1, int.MaxValue) ?? 0),
            Choices = fields.Integer("n", 1, MostChoices) ?? 1,
            Seed = fields.Long("seed"),
            Stops = ReadStops(fields),
            IgnoreEndOfSequence = fields.Flag("ignore_eos"),
            ReturnTokenIds = fields.Flag("return_token_ids"),
            TokensAsTokenIds = fields.Flag("return_tokens_as_token_ids"),
            SampledLogprobs = fields.Integer("sampled_logprobs", 1, MostDraws),
            Stream = fields.Flag("stream"),
            StreamUsage = fields.Object("stream_options")?.Flag("include_usage") ?? false,
        };
    }

    /// <summary>Returns whether a response format is the one that there is: text, whatever it says.</summary>
    static bool IsPlainText(JsonElement format) => format.Text("type") == "text";

    static byte[][] ReadStops(RequestFields fields)
    {
        var stops = fields.Texts("stop");
        return stops.Count > MostStops ? throw fields.Bad("stop", $"holds {stops.Count} strings, the most is {MostStops}")
            : stops.Contains("") ? throw fields.Bad("stop", "holds an empty string")
            : [.. stops.Select(Encoding.UTF8.GetBytes)];
    }
}
