using System.Text.Json.Nodes;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Models.Tests;

/// <summary>Labels in place of a vocabulary, in Hugging Face's layout.</summary>
public sealed class ClassifierTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    public static TheoryData<string, LabelKind> All
    {
        get
        {
            var data = new TheoryData<string, LabelKind>();
            foreach (var shape in DecoderShapes.All.Select(row => row.Data))
            {
                data.Add(shape, LabelKind.Sequence);
                data.Add(shape, LabelKind.Token);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    [Trait("Category", "Numeric")]
    public void LabelLogits_EveryFamily_AreThoseOfTheReferenceInFloat64(string shape, LabelKind kind)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = Classifier(shape, kind);
        var batch = DecoderShapes.Batch(21, 9);

        using var decoder = new Decoder(TrainedWeights.None(model));
        var logits = decoder.LabelLogits(decoder.Forward(batch));

        var reference = new ReferenceLlama(model);
        var expected = cat([
            .. DecoderShapes
                .Sequences(batch)
                .Select(ids =>
                {
                    var z = reference.Forward(ids).matmul(reference.Weight("score.weight").t());
                    return kind == LabelKind.Token ? z + reference.Weight("score.bias") : z;
                }),
        ]);
        Rounding.Close(expected, logits, Rounding.OfForward(model.Configuration, 21));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Save_EveryFamily_IsReadAgainAsItWas(string shape, LabelKind kind)
    {
        using var model = Classifier(shape, kind);

        ModelDirectory.Save(_directory.Path, model);

        using var read = ModelDirectory.LoadAny(_directory.Path);
        Assert.Equal(model.Configuration.Head, read.Configuration.Head);
        Assert.Equal(model.Flat.Span.ToArray(), read.Flat.Span.ToArray());
    }

    /// <summary>Names, shapes and fields as transformers 4.57 has them.</summary>
    [Theory]
    [InlineData("grouped", LabelKind.Sequence, "LlamaForSequenceClassification")]
    [InlineData("grouped", LabelKind.Token, "LlamaForTokenClassification")]
    [InlineData("qwen3", LabelKind.Token, "Qwen3ForTokenClassification")]
    [InlineData("gemma3", LabelKind.Sequence, "Gemma3TextForSequenceClassification")]
    [InlineData("phi3", LabelKind.Sequence, "Phi3ForSequenceClassification")]
    [InlineData("mixtral", LabelKind.Token, "MixtralForTokenClassification")]
    public void Save_AClassifier_HasTheLayoutOfTransformers(string shape, LabelKind kind, string architecture)
    {
        using var model = Classifier(shape, kind);

        ModelDirectory.Save(_directory.Path, model);

        var config = JsonNode.Parse(File.ReadAllText(_directory.File("config.json")))!;
        Assert.Equal(architecture, (string?)config["architectures"]![0]);
        Assert.Equal("one", (string?)config["id2label"]!["1"]);
        Assert.Equal(2, (int?)config["label2id"]!["two"]);
        Assert.Equal(3, (int?)config["num_labels"]);
        Assert.Equal("single_label_classification", (string?)config["problem_type"]);
        Assert.Equal(7, (int?)config["pad_token_id"]);
        using var weights = WeightFiles.Open(_directory.Path);
        Assert.Equal([3, model.Configuration.HiddenSize], weights.Find("score.weight")!.Shape);
        Assert.Equal(kind == LabelKind.Token ? [3L] : null, weights.Find("score.bias")?.Shape);
        Assert.Null(weights.Find("lm_head.weight"));
        Assert.NotNull(weights.Find("model.embed_tokens.weight"));
    }

    [Fact]
    public void Load_AClassifierAsAModelThatWrites_IsRefused()
    {
        using var model = Classifier("wide", LabelKind.Sequence);
        ModelDirectory.Save(_directory.Path, model);

        var error = Assert.Throws<InvalidInputException>(() => ModelDirectory.Load(_directory.Path));

        Assert.Equal(
            $"{_directory.Path}: is a classifier (LlamaForSequenceClassification), and a model that writes text is needed here",
            error.Message
        );
        Assert.Throws<InvalidInputException>(() => ModelDirectory.LoadFrozen(_directory.Path));
    }

    [Theory]
    [InlineData("id2label", """{"0": "a"}""", "two or more labels")]
    [InlineData("id2label", """{"0": "a", "2": "b"}""", "a name for each id from 0 to 1")]
    [InlineData("id2label", """{"0": "a", "1": "a"}""", "no two of a name")]
    [InlineData("problem_type", "\"multi_label_classification\"", "gives each text or token one label")]
    public void Load_LabelsThatAreNone_AreRefused(string field, string value, string told)
    {
        using var model = Classifier("grouped", LabelKind.Token);
        ModelDirectory.Save(_directory.Path, model);
        var config = JsonNode.Parse(File.ReadAllText(_directory.File("config.json")))!;
        config[field] = JsonNode.Parse(value);
        File.WriteAllText(_directory.File("config.json"), config.ToJsonString());

        var error = Assert.Throws<InvalidInputException>(() => ModelDirectory.LoadAny(_directory.Path));

        Assert.Contains(told, error.Message, StringComparison.Ordinal);
        Assert.StartsWith(_directory.File("config.json"), error.Message, StringComparison.Ordinal);
    }

    /// <summary>transformers writes no names where they are its own, and no number where it is two.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(null)]
    public void LoadConfiguration_WithoutNames_HasThoseOfTransformers(int? count)
    {
        using var model = Classifier("grouped", LabelKind.Sequence);
        ModelDirectory.Save(_directory.Path, model);
        var config = JsonNode.Parse(File.ReadAllText(_directory.File("config.json")))!.AsObject();
        config.Remove("id2label");
        config.Remove("num_labels");
        if (count is { } labels)
        {
            config["num_labels"] = labels;
        }

        File.WriteAllText(_directory.File("config.json"), config.ToJsonString());

        var read = ModelConfiguration.Load(_directory.Path).Head!.Labels;

        Assert.Equal(Enumerable.Range(0, count ?? 2).Select(id => $"LABEL_{id}"), read);
    }

    [Fact]
    public void Models_OfSeveralTasks_ShareTheMemoryOfLowerLayersAlone()
    {
        var shape = DecoderShapes.Shape("grouped");
        using var tasks = new TaskParameters(
            [("a", shape with { Head = Head(LabelKind.Sequence) }), ("b", shape with { Head = Head(LabelKind.Token) })],
            shared: 1
        );

        foreach (var (name, i) in tasks.Models[0].Names.Index().Select(entry => (entry.Item, entry.Index)))
        {
            tasks.Models[0].Values(name).Fill(i + 1);
        }

        string[] shared = [.. tasks.Models[1].Names.Where(name => tasks.Models[1].Values(name)[0] != 0)];
        Assert.Equal("model.embed_tokens.weight", shared[0]);
        Assert.All(shared.Skip(1), name => Assert.StartsWith("model.layers.0.", name, StringComparison.Ordinal));
        Assert.Equal(tasks.Models[0].Names.Count(name => name.StartsWith("model.layers.0.", StringComparison.Ordinal)), shared.Length - 1);
        Assert.Equal(tasks.Count, tasks.Models.Sum(model => model.Count) - shared.Sum(name => tasks.Models[0].Values(name).Length));
    }

    static ClassificationHead Head(LabelKind kind) => new(kind, ["zero", "one", "two"]) { PadTokenId = 7 };

    static ModelParameters Classifier(string shape, LabelKind kind)
    {
        using var source = DecoderShapes.Parameters(shape, seed: 4);
        var model = new ModelParameters(source.Configuration with { Head = Head(kind) });
        model.Initialize(5);
        foreach (var name in model.Names.Where(name => !name.StartsWith("score.", StringComparison.Ordinal)))
        {
            source.Values(name).CopyTo(model.Values(name));
        }

        if (kind == LabelKind.Token)
        {
            new[] { 0.3f, -0.2f, 0.1f }.CopyTo(model.Values("score.bias"));
        }

        return model;
    }
}
