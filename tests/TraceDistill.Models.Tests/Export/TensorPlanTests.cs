using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>Which tensor is stored how, against what llama.cpp's quantiser makes of the same model.</summary>
public sealed class TensorPlanTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    static readonly ModelConfiguration Wide = SampleModel.Shape with
    {
        HiddenSize = 256,
        IntermediateSize = 512,
        NumHiddenLayers = 13,
        NumAttentionHeads = 4,
        HeadDim = 64,
    };

    static ModelConfiguration Shape(string name) =>
        name switch
        {
            "wide" => Wide,
            "tied" => Wide with { TieWordEmbeddings = true, NumHiddenLayers = 9 },
            "gemma2" => Wide with
            {
                Family = ModelFamily.Gemma2,
                TieWordEmbeddings = true,
                NumHiddenLayers = 9,
                QueryPreAttnScalar = 64,
                AttentionSoftCap = 50,
                LogitSoftCap = 30,
            },
            "mixtral" => Wide with
            {
                Family = ModelFamily.Mixtral,
                Experts = new()
                {
                    NumExperts = 4,
                    NumExpertsPerToken = 2,
                    IntermediateSize = 512,
                    NormalizesTopK = true,
                },
            },
            "narrow" => SampleModel.Shape, // no row is a multiple of 256
            // ffn_down falls back
            _ => Wide with { IntermediateSize = 288, TieWordEmbeddings = true, Family = ModelFamily.Qwen2, NumHiddenLayers = 3 },
        };

    [Theory]
    [InlineData("wide", GgufQuantization.Q4_K_M, 15)]
    [InlineData("tied", GgufQuantization.Q4_K_M, 15)]
    [InlineData("narrow", GgufQuantization.Q4_K_M, 15)]
    [InlineData("odd", GgufQuantization.Q4_K_M, 15)]
    [InlineData("gemma2", GgufQuantization.Q4_K_M, 15)]
    [InlineData("mixtral", GgufQuantization.Q4_K_M, 15)]
    [InlineData("mixtral", GgufQuantization.Q8_0, 7)]
    [InlineData("wide", GgufQuantization.Q6_K, 18)]
    [InlineData("odd", GgufQuantization.Q6_K, 18)]
    [InlineData("wide", GgufQuantization.Q4_0, 2)]
    [InlineData("narrow", GgufQuantization.Q4_0, 2)]
    [InlineData("tied", GgufQuantization.Q8_0, 7)]
    [InlineData("odd", GgufQuantization.F16, 1)]
    [InlineData("odd", GgufQuantization.BF16, 32)]
    public void Tensors_AnyMixture_AreStoredAsLlamaCppsQuantiserStoresThem(string shape, GgufQuantization quantization, int fileType)
    {
        var configuration = Shape(shape);
        SampleModel.Write(_folder.Path, configuration);
        GgufExport.Run(
            new ExportSource(_folder.Path),
            _folder.File("full.gguf"),
            "sample",
            GgufQuantization.F32,
            TestContext.Current.CancellationToken
        );
        Ggml.Quantize(_folder.File("full.gguf"), _folder.File("quantised.gguf"), fileType);

        var planned = new TensorPlan(configuration, quantization).Tensors();

        Assert.Equal(
            GgufHeader.Read(_folder.File("quantised.gguf")).OrderBy(tensor => tensor.Name, StringComparer.Ordinal),
            planned.Select(tensor => (tensor.Name, (int)tensor.Type)).OrderBy(tensor => tensor.Name, StringComparer.Ordinal)
        );
    }

    /// <summary>
    /// llama.cpp's quantiser refuses such a model where no block fits; its converter stores float16, and so do the types that fall back.
    /// </summary>
    [Theory]
    [InlineData(GgufQuantization.Q4_K_M)]
    [InlineData(GgufQuantization.Q8_0)]
    [InlineData(GgufQuantization.Q4_0)]
    public void Tensors_RowsThatNoBlockDivides_AreFloat16(GgufQuantization quantization)
    {
        var tensors = new TensorPlan(
            SampleModel.Shape with
            {
                HiddenSize = 40,
                IntermediateSize = 54,
                HeadDim = 10,
            },
            quantization
        ).Tensors();

        Assert.All(tensors.Where(tensor => tensor.Shape.Length == 2), tensor => Assert.Equal("F16", tensor.Type.ToString()));
    }

    public void Dispose() => _folder.Dispose();
}
