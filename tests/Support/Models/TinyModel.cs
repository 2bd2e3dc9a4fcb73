using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;

namespace TraceDistill.Tests.Support;

/// <summary>Small random models whose sizes divide by nothing convenient, to reach every edge of the kernels.</summary>
static class TinyModel
{
    public static ModelConfiguration Awkward { get; } =
        new()
        {
            VocabSize = 101,
            HiddenSize = 40,
            IntermediateSize = 54,
            NumHiddenLayers = 2,
            NumAttentionHeads = 6,
            NumKeyValueHeads = 2,
            HeadDim = 18,
            MaxPositionEmbeddings = 160,
            InitializerRange = 0.2, // Wide enough that the distributions are far from flat.
            EosTokenIds = [3],
        };

    public static ModelParameters Create(ModelConfiguration? configuration = null, long seed = 1)
    {
        var parameters = new ModelParameters(configuration ?? Awkward);
        parameters.Initialize(seed);
        return parameters;
    }

    public static int[] Prompt(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => 4 + (i * 31 + seed * 17 + i * i) % 97)];
}
