using System.Text.Json.Nodes;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

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

        var summary = HuggingFaceExport.Run(
            new ExportSource(_folder.File("model")),
            _folder.File("export"),
            asked,
            cancellationToken: TestContext.Current.CancellationToken
        );

        using ModelParameters expected = ModelDirectory.Load(_folder.File("model")),
            actual = ModelDirectory.Load(_folder.File("export"));
        Assert.Equal((stored, expected.Count), (summary.Dtype, summary.Parameters));
        using var file = SafetensorsFile.Open(Path.Combine(_folder.File("export"), "model.safetensors"));
        Assert.All(file.Entries.Values, entry => Assert.Equal(stored, entry.Dtype));
        Assert.Equal(expected.Configuration with { EosTokenIds = [] }, actual.Configuration with { EosTokenIds = [] });
        var error = expected.Flat.Span.ToArray().Zip(actual.Flat.Span.ToArray()).Max(pair => Math.Abs(pair.First - pair.Second));
        Assert.InRange(error, 0, stored == TensorDtype.Float16 ? 1e-3 : 0);
        var (before, after) = (Tokenizer.Load(_folder.File("model")), Tokenizer.Load(_folder.File("export")));
        Assert.Equal(
            (before.Hash, before.ChatTemplateSource, before.EndOfSequenceId),
            (after.Hash, after.ChatTemplateSource, after.EndOfSequenceId)
        );
        Assert.Equal(
            "{\"eos_token_id\":316}",
            JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("export"), "generation_config.json")))!.ToJsonString()
        );
    }

    [Fact]
    public void Run_CheckpointOfSeveralTypes_KeepsEveryTensorsBytes()
    {
        SampleModel.Write(_folder.File("model"), SampleModel.Shape);
        Directory.CreateDirectory(_folder.File("export"));
        var path = Path.Combine(_folder.File("model"), "model.safetensors");
        using (var parameters = ModelDirectory.Load(_folder.File("model")))
        {
            SafetensorsWriter.Write(
                path,
                name =>
                    name.Contains("norm", StringComparison.Ordinal) ? TensorDtype.Float32
                    : name.Contains("mlp", StringComparison.Ordinal) ? TensorDtype.Float16
                    : TensorDtype.BFloat16,
                [.. parameters.Names.Select(name => (name, parameters.ShapeOf(name)))],
                name => parameters.Values(name)
            );
        }

        HuggingFaceExport.Run(
            new ExportSource(_folder.File("model")),
            _folder.File("export"),
            dtype: null,
            cancellationToken: TestContext.Current.CancellationToken
        );

        using SafetensorsFile before = SafetensorsFile.Open(path),
            after = SafetensorsFile.Open(Path.Combine(_folder.File("export"), "model.safetensors"));
        Assert.Equal(before.Entries.Keys.Order(), after.Entries.Keys.Order());
        Assert.All(before.Entries.Values, entry =>
        {
            var copy = after.Entries[entry.Name];
            Assert.Equal((entry.Dtype, entry.End - entry.Start, 0), (copy.Dtype, copy.End - copy.Start, copy.Start % copy.Dtype.Size()));
            byte[] expected = new byte[entry.End - entry.Start],
                actual = new byte[expected.Length];
            before.Read(entry, 0, expected);
            after.Read(copy, 0, actual);
            Assert.Equal(expected, actual);
        });
    }

    [Fact]
    public void Run_MalformedChatTemplate_IsRefusedByPlaceAndWritesNothing()
    {
        SampleModel.Write(_folder.File("model"), SampleModel.Shape);
        Directory.CreateDirectory(_folder.File("export"));
        File.WriteAllText(
            Path.Combine(_folder.File("model"), "chat_template.jinja"),
            "{% for m in messages %}\n{{ m.content }\n{% endfor %}"
        );

        var message = Assert
            .Throws<InvalidInputException>(() =>
                HuggingFaceExport.Run(
                    new ExportSource(_folder.File("model")),
                    _folder.File("export"),
                    dtype: null,
                    cancellationToken: TestContext.Current.CancellationToken
                )
            )
            .Message;

        Assert.StartsWith(
            Path.Combine(_folder.File("model"), "chat_template.jinja") + ", line 2, column 14",
            message,
            StringComparison.Ordinal
        );
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.File("export")));
    }
}
