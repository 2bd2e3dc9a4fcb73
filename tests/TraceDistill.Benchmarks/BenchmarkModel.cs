using TraceDistill.Training.Models;

namespace TraceDistill.Benchmarks;

/// <summary>A random model of the embedded teacher's size: what a step costs does not depend on what the weights say.</summary>
static class BenchmarkModel
{
    public static ModelConfiguration Shape { get; } = new()
    {
        VocabSize = 512,
        HiddenSize = 256,
        IntermediateSize = 704,
        NumHiddenLayers = 4,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 64,
        MaxPositionEmbeddings = 1024,
        TieWordEmbeddings = true,
    };

    public static ModelParameters Create()
    {
        var parameters = new ModelParameters(Shape);
        parameters.Initialize(seed: 1);
        return parameters;
    }
}
