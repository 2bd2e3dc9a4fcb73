using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Benchmarks;

/// <summary>The shape of a model and of a batch for it.</summary>
/// <param name="Length">Tokens of a sequence.</param>
/// <param name="Tokens">Of a batch.</param>
/// <param name="Rank">Of adapters; 0 trains all weights.</param>
sealed record EngineSize(
    string Name,
    int Hidden,
    int Layers,
    int Heads,
    int KeyHeads,
    int Inner,
    int Vocabulary,
    int Length,
    int Tokens,
    bool Tied,
    int Rank = 0
)
{
    public ModelArchitecture Architecture() =>
        new()
        {
            HiddenSize = Hidden,
            NumHiddenLayers = Layers,
            NumAttentionHeads = Heads,
            NumKeyValueHeads = KeyHeads,
            IntermediateSize = Inner,
            MaxPositionEmbeddings = Math.Max(512, Length),
            TieWordEmbeddings = Tied,
        };

    /// <summary>minGRU of this width and depth, states twice as wide.</summary>
    public ModelArchitecture Recurrent() =>
        new()
        {
            ModelType = "mingru",
            HiddenSize = Hidden,
            NumHiddenLayers = Layers,
            IntermediateSize = Inner,
            MaxPositionEmbeddings = Math.Max(512, Length),
            TieWordEmbeddings = Tied,
        };

    /// <summary>Weights of this shape; owned by the caller.</summary>
    public ModelParameters Random() => Random(Architecture());

    /// <summary>Weights of a shape with this vocabulary; owned by the caller.</summary>
    public ModelParameters Random(ModelArchitecture architecture)
    {
        var parameters = new ModelParameters(architecture.Configure(Vocabulary, [0]));
        parameters.Initialize(seed: 1);
        return parameters;
    }

    /// <summary>Random sequences of one length with encoded top-20 soft targets for all but the first token.</summary>
    public List<TraceTokens> Batch()
    {
        var random = new Random(1);
        return
        [
            .. Enumerable
                .Range(0, Tokens / Length)
                .Select(_ =>
                {
                    var ids = Enumerable.Range(0, Length).Select(_ => random.Next(Vocabulary)).ToArray();
                    return new TraceTokens(
                        ids,
                        1,
                        EncodedSoftTargets.From(TrainingBenchmark.Logprobs(ids[1..], random, Vocabulary), new SoftTargetChanges())
                    );
                }),
        ];
    }
}
