using System.ComponentModel;
using System.Text.Json.Serialization;
using TraceDistill.Text.Errors;

namespace TraceDistill.Models.Configuration;

/// <summary>The shape of a model to be trained from scratch, as a recipe gives it; the vocabulary comes with the tokenizer.</summary>
public sealed record ModelArchitecture
{
    /// <summary>Positions of a model that was not told how many to have.</summary>
    public const int LeastPositions = 1_024;

    /// <value>llama.</value>
    [Description("Family of the model, by its name in config.json, such as llama, gemma2 or qwen3_moe; llama unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ModelType { get; init; }

    [Description("Width of the residual stream")]
    public required int HiddenSize { get; init; }

    [Description("Number of transformer layers")]
    public required int NumHiddenLayers { get; init; }

    /// <value>Null, which mingru alone may have.</value>
    [Description("Query heads; every family but mingru has them")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? NumAttentionHeads { get; init; }

    /// <value>As many as query heads.</value>
    [Description("Key and value heads; as many as query heads unless given")]
    public int? NumKeyValueHeads { get; init; }

    /// <value>hidden_size / num_attention_heads.</value>
    [Description("Channels of one head; hidden_size / num_attention_heads unless given")]
    public int? HeadDim { get; init; }

    /// <value>8/3 of hidden_size, rounded up to a multiple of 16.</value>
    [Description("Width of the MLP; 8/3 of hidden_size unless given")]
    public int? IntermediateSize { get; init; }

    /// <value>Null: as many as the traces that it learns from need, and their teacher was allowed to write; at least 1,024.</value>
    [Description("Longest sequence in tokens; as long as the traces may be, and at least 1024, unless given")]
    public int? MaxPositionEmbeddings { get; init; }

    /// <value>10,000.</value>
    [Description("Base of the rotary frequencies; 10000 unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? RopeTheta { get; init; }

    /// <value>Twice hidden_size.</value>
    [Description("Channels of a layer's recurrent state in mingru; twice hidden_size unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? StateSize { get; init; }

    /// <value>4.</value>
    [Description("Tokens that the convolution before mingru's recurrence sees; 1 for no convolution; 4 unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? ConvKernel { get; init; }

    /// <value>True: at small sizes the embedding is a large share of the model.</value>
    [Description("Tie the output projection to the embedding matrix")]
    public bool TieWordEmbeddings { get; init; } = true;

    /// <value>Null: every token sees all before it. Mistral, Phi 3, Gemma and Mixtral can have a window.</value>
    [Description(
        "Tokens that layers with a sliding window see; all layers of mistral, "
            + "phi3 and mixtral, most of gemma2 and gemma3_text; none unless given"
    )]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? SlidingWindow { get; init; }

    /// <value>8.</value>
    [Description("Experts of a layer in qwen3_moe and mixtral; 8 unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? NumExperts { get; init; }

    /// <value>2.</value>
    [Description("Experts that each token goes to; 2 unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? NumExpertsPerTok { get; init; }

    /// <value>intermediate_size.</value>
    [Description("Width of one expert of qwen3_moe; intermediate_size unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? MoeIntermediateSize { get; init; }

    /// <value>0.001.</value>
    [Description("Weight of the loss that keeps experts equally busy; 0.001 unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? RouterAuxLossCoef { get; init; }

    /// <value>Null: the model looks at text alone.</value>
    [Description("Encoder of a picture that stands in each prompt in place of the question; none unless given")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PictureEncoderSettings? PictureEncoder { get; init; }

    /// <summary>The full configuration for a vocabulary.</summary>
    /// <param name="vocabularySize">Ids of the tokenizer.</param>
    /// <param name="endOfSequenceIds">Tokens that end a generation.</param>
    /// <param name="positions">Longest sequence where <see cref="MaxPositionEmbeddings"/> does not say.</param>
    /// <exception cref="InvalidInputException">Sizes do not fit together, or the family is not known.</exception>
    public ModelConfiguration Configure(int vocabularySize, IEnumerable<int> endOfSequenceIds, int positions = LeastPositions)
    {
        var family = ModelFamilies.Parse(ModelType ?? "llama")
            ?? throw new InvalidInputException(
                $"architecture: model_type \"{ModelType}\" is not supported; supported: {string.Join(", ", ModelFamilies.Names)}"
            );
        var traits = family.Traits();
        RefuseWhatTheFamilyLacks(traits);
        var heads = NumAttentionHeads ?? 0;
        var headDim = traits.IsRecurrent ? 0 : HeadDim ?? HiddenSize / Math.Max(1, heads);
        var configuration = new ModelConfiguration
        {
            Family = family,
            VocabSize = vocabularySize,
            HiddenSize = HiddenSize,
            IntermediateSize = Width,
            NumHiddenLayers = NumHiddenLayers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = NumKeyValueHeads ?? heads,
            HeadDim = headDim,
            Recurrence = traits.IsRecurrent
                ? new() { StateSize = StateSize ?? (int)Math.Min(int.MaxValue, 2L * HiddenSize), ConvKernel = ConvKernel ?? 4 }
                : null,
            SlidingWindow = SlidingWindow,
            SlidingLayers = SlidingWindow is null ? null : ModelConfiguration.WindowPattern(NumHiddenLayers, traits.WindowPattern),
            NoRopeLayers = ModelConfiguration.EveryNth(NumHiddenLayers, traits.NoRopeInterval),
            LocalRopeTheta = traits.Defaults.LocalRopeTheta,
            QueryPreAttnScalar = traits.Defaults.QueryPreAttnScalar is null ? null : headDim,
            AttentionSoftCap = traits.Defaults.AttentionSoftCap,
            LogitSoftCap = traits.Defaults.LogitSoftCap,
            Experts = traits.Experts is null ? null : Experts(),
            Pictures = PictureEncoder,
            MaxPositionEmbeddings = MaxPositionEmbeddings ?? positions,
            RopeTheta = RopeTheta ?? 10_000,
            TieWordEmbeddings = TieWordEmbeddings,
            EosTokenIds = [.. endOfSequenceIds.Order()],
        };
        configuration.Validate("architecture", "num_experts");
        return configuration;
    }

    /// <value>8/3 of hidden_size, rounded up to a multiple of 16.</value>
    int Width => IntermediateSize ?? (int)Math.Min(int.MaxValue, ((HiddenSize * 8L / 3) + 15) / 16 * 16);

    ExpertSettings Experts() =>
        new()
        {
            NumExperts = NumExperts ?? 8,
            NumExpertsPerToken = NumExpertsPerTok ?? 2,
            IntermediateSize = MoeIntermediateSize ?? Width,
            NormalizesTopK = true,
            RouterLossWeight = RouterAuxLossCoef ?? 0.001,
        };

    void RefuseWhatTheFamilyLacks(FamilyTraits traits)
    {
        var experts =
            NumExperts is not null || NumExpertsPerTok is not null || MoeIntermediateSize is not null || RouterAuxLossCoef is not null;
        if (experts && traits.Experts is null)
        {
            throw new InvalidInputException(
                $"architecture: {traits.ModelType} has no experts: leave out num_experts "
                    + "and the settings of experts, or use model_type qwen3_moe or mixtral"
            );
        }

        if (MoeIntermediateSize is not null && traits.Defaults.ExpertIntermediateSize is null)
        {
            throw new InvalidInputException(
                $"architecture: moe_intermediate_size: intermediate_size is the width of the experts of {traits.ModelType}"
            );
        }

        (string Name, bool IsGiven, bool IsOfRecurrence)[] mixers =
        [
            ("num_attention_heads", NumAttentionHeads is not null, false),
            ("num_key_value_heads", NumKeyValueHeads is not null, false),
            ("head_dim", HeadDim is not null, false),
            ("rope_theta", RopeTheta is not null, false),
            ("state_size", StateSize is not null, true),
            ("conv_kernel", ConvKernel is not null, true),
        ];
        if (mixers.FirstOrDefault(field => field.IsGiven && field.IsOfRecurrence != traits.IsRecurrent) is { Name: { } name })
        {
            throw new InvalidInputException(
                $"architecture: {name}: {traits.ModelType} has "
                    + (traits.IsRecurrent ? "a recurrence in place of attention; leave it out" : "attention; leave it out, or take mingru")
            );
        }

        if (NumAttentionHeads is null && !traits.IsRecurrent)
        {
            throw new InvalidInputException($"architecture: num_attention_heads is missing: {traits.ModelType} has attention");
        }

        if (SlidingWindow is not null && traits.Windows != SlidingWindows.WhereGiven)
        {
            throw new InvalidInputException(
                $"architecture: sliding_window: layers of {traits.ModelType} see every token; leave it out, or take model_type mistral"
            );
        }
    }
}
