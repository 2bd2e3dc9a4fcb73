using System.ComponentModel;

namespace TraceDistill.Models.Configuration;

/// <summary>The shape of a model to be trained from scratch, as a recipe gives it; the vocabulary comes with the tokenizer.</summary>
public sealed record ModelArchitecture
{
    /// <summary>What a model has positions for that was not told how many.</summary>
    public const int LeastPositions = 1_024;

    [Description("Width of the residual stream")]
    public required int HiddenSize { get; init; }

    [Description("Number of transformer layers")]
    public required int NumHiddenLayers { get; init; }

    [Description("Query heads")]
    public required int NumAttentionHeads { get; init; }

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
    [Description("Base of the rotary frequencies")]
    public double RopeTheta { get; init; } = 10_000;

    /// <value>True: at small sizes the embedding is a large share of the model.</value>
    [Description("Whether the output projection is the embedding matrix")]
    public bool TieWordEmbeddings { get; init; } = true;

    /// <summary>The full configuration for a vocabulary.</summary>
    /// <param name="vocabularySize">Ids of the tokenizer.</param>
    /// <param name="endOfSequenceIds">Tokens that end a generation.</param>
    /// <param name="positions">Longest sequence where <see cref="MaxPositionEmbeddings"/> does not say.</param>
    /// <exception cref="Core.Errors.InvalidInputException">Sizes do not fit together.</exception>
    public ModelConfiguration Configure(int vocabularySize, IEnumerable<int> endOfSequenceIds, int positions = LeastPositions)
    {
        var configuration = new ModelConfiguration
        {
            VocabSize = vocabularySize,
            HiddenSize = HiddenSize,
            IntermediateSize = IntermediateSize ?? (int)Math.Min(int.MaxValue, ((HiddenSize * 8L / 3) + 15) / 16 * 16),
            NumHiddenLayers = NumHiddenLayers,
            NumAttentionHeads = NumAttentionHeads,
            NumKeyValueHeads = NumKeyValueHeads ?? NumAttentionHeads,
            HeadDim = HeadDim ?? HiddenSize / Math.Max(1, NumAttentionHeads),
            MaxPositionEmbeddings = MaxPositionEmbeddings ?? positions,
            RopeTheta = RopeTheta,
            TieWordEmbeddings = TieWordEmbeddings,
            EosTokenIds = [.. endOfSequenceIds.Order()],
        };
        configuration.Validate("architecture");
        return configuration;
    }
}
