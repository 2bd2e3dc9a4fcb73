using TraceDistill.Core.Tokenization;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Checkpoints;
using TraceDistill.Training.Export;
using TraceDistill.Training.Models;
using Xunit;

namespace TraceDistill.Training.Tests.Export;

public sealed class HuggingFaceExportTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(null, TensorDtype.BFloat16)]
    [InlineData(TensorDtype.Float32, TensorDtype.Float32)]
    [InlineData(TensorDtype.Float16, TensorDtype.Float16)]
    public void Run_Model_IsTheSameModelInTheTypeAskedFor(TensorDtype? asked, TensorDtype stored)
    {
        SampleModel.Write(_folder.File("model"), SampleModel.Shape with { Family = ModelFamily.Qwen3 }, dtype: TensorDtype.BFloat16);
        File.Delete(Path.Combine(_folder.File("model"), "generation_config.json"));
        Directory.CreateDirectory(_folder.File("export"));

        var summary = HuggingFaceExport.Run(_folder.File("model"), _folder.File("export"), asked, TestContext.Current.CancellationToken);

        using ModelParameters expected = ModelDirectory.Load(_folder.File("model")), actual = ModelDirectory.Load(_folder.File("export"));
        Assert.Equal((stored, expected.Count), (summary.Dtype, summary.Parameters));
        using var file = SafetensorsFile.Open(Path.Combine(_folder.File("export"), "model.safetensors"));
        Assert.All(file.Entries.Values, entry => Assert.Equal(stored, entry.Dtype));
        Assert.Equal(expected.Configuration with { EosTokenIds = [] }, actual.Configuration with { EosTokenIds = [] });
        var error = expected.Flat.Span.ToArray().Zip(actual.Flat.Span.ToArray()).Max(pair => Math.Abs(pair.First - pair.Second));
        Assert.InRange(error, 0, stored == TensorDtype.Float16 ? 1e-3 : 0);
        var (before, after) = (Tokenizer.Load(_folder.File("model")), Tokenizer.Load(_folder.File("export")));
        Assert.Equal((before.Hash, before.ChatTemplateSource, before.EndOfSequenceId), (after.Hash, after.ChatTemplateSource, after.EndOfSequenceId));
        Assert.Equal("{\"eos_token_id\":316}\n", File.ReadAllText(Path.Combine(_folder.File("export"), "generation_config.json")));
    }
}
