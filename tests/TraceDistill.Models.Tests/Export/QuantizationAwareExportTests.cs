using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Inference;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Models.Export.Quantization;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>
/// The embedded teacher on the blocks of a quantised type, as a training for that type leaves it, and its file in llama.cpp.
/// </summary>
public sealed class QuantizationAwareExportTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(QuantizationAware.Q8_0)]
    [InlineData(QuantizationAware.Q4_0)]
    public async Task Run_ToTheTypeOfTheTraining_KeepsPerplexityWithinHalfAPercent(QuantizationAware type)
    {
        var (model, file) = (_folder.File("model"), _folder.File("model.gguf"));
        Save(model, type);
        using var ours = GenerationEngine.Load(model);
        var traces = await TracesAsync();

        var quantization = TensorPlan.FileOf(type)!.Value;
        var summary = GgufExport.Run(new ExportSource(model), file, "model", quantization, TestContext.Current.CancellationToken);

        var scored = LlamaCpp.Ask(new LlamaCppRequest { File = file, Scored = [.. traces.Select(trace => trace.Ids)] })[0].Logprobs;
        var (sum, theirs, tokens) = (0.0, 0.0, 0);
        foreach (var ((ids, prompt), logprobs) in traces.Zip(scored))
        {
            var own = await LogprobsAsync(ours, ids);
            sum -= own.Skip(prompt - 1).Sum();
            theirs -= logprobs.Skip(prompt - 1).Sum();
            tokens += ids.Length - prompt;
        }

        var (perplexity, expected) = (Math.Exp(theirs / tokens), Math.Exp(sum / tokens));
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{type}: {tokens} tokens, perplexity {expected:F5} here, {perplexity:F5} in llama.cpp "
                + $"({perplexity / expected - 1:+0.000%;-0.000%})"
        );
        Assert.InRange(perplexity / expected, 0.995, 1.005);
        Assert.EndsWith("as they are", summary.QuantizationNote);
    }

    /// <summary>Every value of every tensor, as llama.cpp's own library reads it from the file.</summary>
    [Theory]
    [InlineData(QuantizationAware.Q8_0)]
    [InlineData(QuantizationAware.Q4_0)]
    public void Encode_EveryMatrixOfTheModel_IsReadAsItIs(QuantizationAware type)
    {
        var model = _folder.File("model");
        Save(model, type);
        using var parameters = ModelDirectory.Load(model);

        foreach (var (name, rounding) in TensorPlan.BlocksOf(parameters.Configuration, type)!.Matrices)
        {
            var values = parameters.Values(name).ToArray();
            var bytes = new byte[rounding.Type.BytesOf(values.Length)];
            rounding.Type.Encode(values, bytes);
            Assert.Equal(values, Ggml.Decode(rounding.Type, bytes));
        }
    }

    [Theory]
    [InlineData(GgufQuantization.Q4_0, "its weights are there as they are")]
    [InlineData(GgufQuantization.Q8_0, "Q8_0 rounds its weights once more: take quantization Q4_0")]
    [InlineData(GgufQuantization.F16, "F16 rounds its weights once more: take quantization Q4_0")]
    [InlineData(GgufQuantization.F32, null)]
    public void Run_ToAnyType_SaysWhetherItIsThatOfTheTraining(GgufQuantization quantization, string? note)
    {
        Save(_folder.File("model"), QuantizationAware.Q4_0);

        var summary = GgufExport.Run(
            new ExportSource(_folder.File("model")),
            _folder.File("model.gguf"),
            "model",
            quantization,
            TestContext.Current.CancellationToken
        );

        Assert.True(note is null ? summary.QuantizationNote is null : summary.QuantizationNote!.EndsWith(note, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(null, QuantizationAware.Q4_0)]
    [InlineData(TensorDtype.BFloat16, QuantizationAware.None)]
    public void HuggingFaceExport_InSixteenBits_IsForNoTypeAnyMore(TensorDtype? dtype, QuantizationAware expected)
    {
        Save(_folder.File("model"), QuantizationAware.Q4_0);
        Directory.CreateDirectory(_folder.File("exported"));

        var summary = HuggingFaceExport.Run(
            new ExportSource(_folder.File("model")),
            _folder.File("exported"),
            dtype,
            cancellationToken: TestContext.Current.CancellationToken
        );

        Assert.Equal(expected, ModelConfiguration.Load(_folder.File("exported")).QuantizationAware);
        Assert.Equal(dtype is null, summary.QuantizationNote is null);
    }

    /// <summary>What evaluate reads of the folder is what llama.cpp reads of the file.</summary>
    [Theory]
    [InlineData(GgufQuantization.Q4_0)]
    [InlineData(GgufQuantization.Q4_K_M)]
    [InlineData(GgufQuantization.F16)]
    public void HuggingFaceExport_OfAQuantization_HasTheValuesOfTheFile(GgufQuantization quantization)
    {
        Directory.CreateDirectory(_folder.File("exported"));

        HuggingFaceExport.Run(
            new ExportSource(Teacher),
            _folder.File("exported"),
            dtype: null,
            GgufExport.WeightsIn(quantization),
            TestContext.Current.CancellationToken
        );

        using var teacher = ModelDirectory.Load(Teacher);
        using var exported = ModelDirectory.Load(_folder.File("exported"));
        foreach (var tensor in new TensorPlan(teacher.Configuration, quantization).Tensors().Where(tensor => tensor.Shape.Length == 2))
        {
            var values = teacher.Values(tensor.Source).ToArray();
            var bytes = new byte[tensor.Type.BytesOf(values.Length)];
            tensor.Type.Encode(values, bytes);
            float[] read = tensor.Type == GgmlType.F16 ? [.. values.Select(value => (float)(Half)value)] : Ggml.Decode(tensor.Type, bytes);
            // Of the types with an offset ggml may round once where two operations round twice.
            Assert.All(read.Zip(exported.Values(tensor.Source).ToArray()), pair =>
                Assert.Equal(pair.First, pair.Second, tensor.Type == GgmlType.Q4_K ? 1e-6 : 0)
            );
        }
    }

    static void Save(string folder, QuantizationAware type)
    {
        using var parameters = ModelDirectory.Load(Teacher);
        ModelDirectory.Save(folder, parameters, blocks: TensorPlan.BlocksOf(parameters.Configuration, type));
        ModelDirectory.CopyTokenizer(Teacher, folder);
    }

    /// <summary>What the teacher answers to problems that it was not trained on, at temperature 1.</summary>
    static async Task<List<(int[] Ids, int Prompt)>> TracesAsync()
    {
        var tokenizer = Tokenizer.Load(Teacher);
        var template = ChatTemplate.Load(Teacher);
        using var engine = GenerationEngine.Load(Teacher);
        var traces = new List<(int[], int)>();
        foreach (var problem in ProblemGenerator.Generate([ProblemGenerator.AllFamilies], 24, seed: 12, ProblemSplit.HeldOut))
        {
            var prompt = tokenizer.Encode(template.Render([new ChatMessage("user", problem.Text)], addGenerationPrompt: true));
            var answer = await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = prompt,
                    MaxTokens = 320,
                    Temperature = 1,
                    Seed = traces.Count,
                }
            );
            traces.Add(([.. prompt, .. answer.Tokens], prompt.Length));
        }

        return traces;
    }

    /// <returns>[T − 1] log-probability of each token but the first.</returns>
    static async Task<double[]> LogprobsAsync(GenerationEngine engine, int[] ids)
    {
        var width = engine.Configuration.VocabSize;
        var scores = (
            await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = ids,
                    MaxTokens = 0,
                    PromptTopLogprobs = width,
                }
            )
        ).PromptLogprobs!;
        return
        [
            .. scores
                .TopIds.Zip(scores.TopLogprobs)
                .Chunk(width)
                .Zip(ids[1..], (row, id) => (double)row.First(entry => entry.First == id).Second),
        ];
    }
}
