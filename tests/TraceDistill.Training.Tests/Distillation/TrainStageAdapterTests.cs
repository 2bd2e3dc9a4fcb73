using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Shards;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Export;
using TraceDistill.Models.Safetensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Adapters on top of a student.</summary>
public sealed class TrainStageAdapterTests : TrainStageCase
{
    /// <summary>What is written is the base model with s·B·A added, by the adapter's own file, in float64.</summary>
    [Fact]
    public async Task RunAsync_Lora_WritesTheAdapterAndTheModelThatItIsMergedInto()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "base");

        var summary = await RunAsync(Tuned with { LoraR = 3, LoraTargetModules = ["q_proj", "down_proj"] }, "tuned");

        using var before = ModelDirectory.Load(Folder.Out("base"));
        using var initial = ModelDirectory.Load(Path.Combine(Folder.Out("tuned"), TrainStage.InitialDirectory));
        using var after = ModelDirectory.Load(Folder.Out("tuned"));
        using var adapter = SafetensorsFile.Open(Path.Combine(Folder.Out("tuned"), "adapter", "adapter_model.safetensors"));
        Assert.Equal(before.Flat.Span.ToArray(), initial.Flat.Span.ToArray());
        foreach (var name in before.Names)
        {
            var adapted =
                name.EndsWith("q_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal);
            var (expected, actual) = (before.Values(name).ToArray(), after.Values(name).ToArray());
            if (!adapted)
            {
                Assert.Equal(expected, actual);
                continue;
            }

            var key = $"base_model.model.{name[..^".weight".Length]}";
            var (a, b, inner) = (Read(key + ".lora_A.weight"), Read(key + ".lora_B.weight"), (int)before.ShapeOf(name)[1]);
            Assert.Contains(b, value => value != 0);
            for (var i = 0; i < expected.Length; i++)
            {
                var sum = Enumerable.Range(0, 3).Sum(j => (double)b[(i / inner * 3) + j] * a[(j * inner) + (i % inner)]);
                // the sum is float64, what is stored float32
                Assert.Equal(expected[i] + (2 * sum), actual[i], Rounding.Of(2) * Math.Abs(actual[i]));
            }
        }

        Assert.Equal(before.Count, summary.Parameters);
        Assert.Equal(2 * 3 * (32 + 32 + 32 + before.Configuration.IntermediateSize), summary.TrainedParameters);

        float[] Read(string name)
        {
            var values = new float[adapter.Entries[name].Shape.Aggregate(1L, (product, size) => product * size)];
            adapter.Read(adapter.Entries[name], values);
            return values;
        }
    }

    /// <summary>
    /// The base stays as it came; adapter and base together are the model, which others can merge again. It is float32: rounding would take
    /// from the adapter.
    /// </summary>
    [Fact]
    public async Task RunAsync_LoraOnABFloat16Student_KeepsItAndWhatTheAdapterAdds()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "wide");
        using (var wide = ModelDirectory.Load(Folder.Out("wide")))
        {
            ModelDirectory.CopyTokenizer(Folder.Out("wide"), Folder.Out("base"));
            wide.Configuration.Save(Folder.Out("base"), TensorDtype.BFloat16);
            WeightFiles.Write(
                Folder.Out("base"),
                DtypeOf,
                [.. wide.Names.Select(name => (name, wide.ShapeOf(name)))],
                name => wide.Values(name),
                long.MaxValue
            );
        }

        await RunAsync(Tuned with { LoraR = 3 }, "tuned");

        var base16 = File.ReadAllBytes(Path.Combine(Folder.Out("base"), "model.safetensors"));
        Assert.Equal(base16, File.ReadAllBytes(Path.Combine(Folder.Out("tuned"), TrainStage.InitialDirectory, "model.safetensors")));
        using (var file = SafetensorsFile.Open(Path.Combine(Folder.Out("tuned"), "model.safetensors")))
        {
            Assert.All(file.Entries.Values, entry => Assert.Equal(TensorDtype.Float32, entry.Dtype));
        }

        var adapter = Path.Combine(Folder.Out("tuned"), AdapterFiles.Folder);
        Directory.CreateDirectory(Folder.Out("merged"));
        HuggingFaceExport.Run(
            new ExportSource(Folder.Out("base"), adapter),
            Folder.Out("merged"),
            TensorDtype.Float32,
            cancellationToken: TestContext.Current.CancellationToken
        );
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(Folder.Out("tuned"), "model.safetensors")),
            File.ReadAllBytes(Path.Combine(Folder.Out("merged"), "model.safetensors"))
        );
        var rounding = HuggingFaceExport
            .Run(
                new ExportSource(Folder.Out("base"), adapter),
                Folder.Out("merged"),
                dtype: null,
                cancellationToken: TestContext.Current.CancellationToken
            )
            .AdapterRounding;
        using ModelParameters before = ModelDirectory.Load(Folder.Out("base")),
            exact = ModelDirectory.Load(Folder.Out("tuned")),
            rounded = ModelDirectory.Load(Folder.Out("merged"));
        Assert.NotEqual(before.Flat.Span.ToArray(), rounded.Flat.Span.ToArray());
        Assert.Equal(Distance(rounded, exact) / Distance(exact, before), rounding!.Value, 1e-6);
        Assert.Equal(Folder.Tokenizer.Hash, Text.Tokenizers.Tokenizer.Load(adapter).Hash);

        static double Distance(ModelParameters left, ModelParameters right) =>
            Math.Sqrt(left.Flat.Span.ToArray().Zip(right.Flat.Span.ToArray()).Sum(pair => Math.Pow((double)pair.First - pair.Second, 2)));

        static TensorDtype DtypeOf(string name) =>
            name.EndsWith("norm.weight", StringComparison.Ordinal) ? TensorDtype.Float32 : TensorDtype.BFloat16;
    }

    /// <summary>A stage works in a folder that is called otherwise once it is finished: the adapter names its base as it will be.</summary>
    [Fact]
    public async Task RunAsync_LoraOnWeightsOfItsOwn_NamesTheBaseWhereItWillBe()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options, "larger");
        await TrainStage.RunAsync(
            Options with
            {
                InitFrom = Folder.Out("larger"),
                LoraR = 2,
            },
            Folder.Out(".tuned.partial"),
            SilentObserver.Instance,
            answers: null,
            published: Folder.Out("tuned"),
            teacherPrompt: null,
            TestContext.Current.CancellationToken
        );
        Directory.Move(Folder.Out(".tuned.partial"), Folder.Out("tuned"));

        using var adapter = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder.Out("tuned"), "adapter", "adapter_config.json")));
        var named = adapter.RootElement.GetProperty("base_model_name_or_path").GetString()!;
        Assert.Equal(Path.Combine(Folder.Out("tuned"), TrainStage.InitialDirectory), named);
        Assert.True(File.Exists(Path.Combine(named, "model.safetensors")));
    }

    [Fact]
    public void Validate_AdaptersThatCannotBe_AreRefusedByTheSetting()
    {
        Assert.Empty(Refused(Tuned with { LoraR = 4, UseDora = true, LoraAlpha = 16, LoraDropout = 0.1 }));
        Assert.Empty(Refused(Options with { LoraR = 4, InitFrom = "larger" }));
        Assert.Equal(["LoraR"], Refused(Tuned with { UseDora = true }));
        Assert.Equal(["LoraR"], Refused(Tuned with { LoraDropout = 0.1 }));
        Assert.Equal(["LoraR"], Refused(Tuned with { LoraTargetModules = ["q_proj"] }));
        Assert.Equal(["LoraR"], Refused(Options with { LoraR = 4 }));
        Assert.Equal(["Optim"], Refused(Tuned with { LoraR = 4, Optim = OptimizerKind.Muon }));
        Assert.Equal(["FrozenParameters"], Refused(Tuned with { LoraR = 4, FrozenParameters = ["norm"] }));
        Assert.Equal(["FrozenParameters"], Refused(Tuned with { FrozenParameters = ["layers.("] }));
        Assert.Equal(["LoraTargetModules"], Refused(Tuned with { LoraR = 4, LoraTargetModules = [] }));

        static IEnumerable<string> Refused(TrainOptions options) =>
            options.Validate(new ValidationContext(options)).SelectMany(problem => problem.MemberNames);
    }
}
