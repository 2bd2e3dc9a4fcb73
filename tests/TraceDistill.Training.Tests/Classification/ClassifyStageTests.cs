using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Labels;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Classification;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Classification;

/// <summary>Trainings of small classifiers from files of labelled texts.</summary>
public sealed class ClassifyStageTests : IDisposable
{
    readonly TraceFolder _folder = new();

    public ClassifyStageTests()
    {
        string[] things = ["pens", "cups"];
        Write(
            "kinds",
            [
                .. Enumerable
                    .Range(1, 60)
                    .Select(i => $$"""{"text": "{{i}} {{things[i % 2]}} and {{i * 3}}", "label": "{{things[i % 2]}}"}"""),
            ]
        );
        Write(
            "spans",
            [
                .. Enumerable
                    .Range(10, 60)
                    .Select(i =>
                        $$"""{"text": "get {{i}} of {{things[i % 2]}}", "spans": [{"start": 4, "end": 6, "label": "number"}, {"start": 10, "end": 14, "label": "thing"}]}"""
                    ),
            ]
        );
    }

    public void Dispose() => _folder.Dispose();

    ClassifyOptions Options =>
        new()
        {
            Tasks = new Dictionary<string, LabelTask>
            {
                ["kinds"] = new() { File = In("kinds") },
                ["words"] = new() { File = In("spans"), Kind = LabelKind.Token },
            },
            Architecture = new ModelArchitecture
            {
                HiddenSize = 32,
                NumHiddenLayers = 2,
                NumAttentionHeads = 2,
                MaxPositionEmbeddings = 64,
            },
            Tokenizer = Path.GetDirectoryName(_folder.Tokenizer.File),
            SharedLayers = 1,
            EvalFraction = 0.2,
            EvalSteps = 5,
            MaxSteps = 8,
            BatchTokens = 240,
            SaveSteps = 3,
            Workers = 2,
            LearningRate = 1e-2,
        };

    ClassifyOptions Single => Options with { Tasks = Options.Tasks.Where(task => task.Key == "kinds").ToDictionary() };

    [Fact]
    public async Task RunAsync_TwoTasks_MakesAModelOfEachThatShareLowerLayersBitForBit()
    {
        var summary = await RunAsync(Options with { MaxSteps = 60 }, "both");

        using var kinds = ModelDirectory.LoadAny(Path.Combine(_folder.Out("both"), "kinds"));
        using var words = ModelDirectory.LoadAny(Path.Combine(_folder.Out("both"), "words"));
        foreach (var name in kinds.Names.Where(name => !name.StartsWith("score.", StringComparison.Ordinal)))
        {
            var isShared = name.StartsWith("model.embed", StringComparison.Ordinal) || name.Contains("layers.0.", StringComparison.Ordinal);
            Assert.Equal(isShared, kinds.Values(name).SequenceEqual(words.Values(name)));
        }

        Assert.Equal(["cups", "pens"], kinds.Configuration.Head!.Labels);
        Assert.Equal(["O", "number", "thing"], words.Configuration.Head!.Labels);
        Assert.True(summary.Tasks["kinds"].HeldOut!.Accuracy > 0.9, $"{summary.Tasks["kinds"].HeldOut}");
        Assert.True(summary.Tasks["words"].HeldOut!.MacroF1 > 0.9, $"{summary.Tasks["words"].HeldOut}");
        Assert.True(summary.Parameters < summary.Tasks.Values.Sum(task => task.Parameters));
        Assert.False(ModelDirectory.Exists(_folder.Out("both")));
        Assert.NotNull(Tokenizer.Load(Path.Combine(_folder.Out("both"), "words")));
    }

    [Fact]
    public async Task RunAsync_OneTask_IsAModelDirectoryItself()
    {
        await RunAsync(Single, "one");

        using var model = ModelDirectory.LoadAny(_folder.Out("one"));
        Assert.Equal("LlamaForSequenceClassification", model.Configuration.Architecture);
    }

    /// <summary>Weights, moments, log-variances and what teachers said are all in the checkpoint.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(7)]
    public async Task RunAsync_InterruptedAndRunAgain_GivesTheBitsOfAnUninterruptedRun(int step)
    {
        TestDevice.SkipUnlessBitsRepeat();
        await RunAsync(Single with { MaxSteps = 20 }, "teacher");
        var options = Options with
        {
            TaskWeights = TaskWeights.Uncertainty,
            Tasks = new Dictionary<string, LabelTask>(Options.Tasks)
            {
                ["kinds"] = Options.Tasks["kinds"] with { Teacher = _folder.Out("teacher") },
            },
            LoadBestModelAtEnd = true,
            EmaDecay = 0.9,
            NeftuneNoiseAlpha = 5,
        };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            ClassifyStage.RunAsync(options, _folder.Out("resumed"), new CancelAt(step, stop), stop.Token)
        );

        await RunAsync(options, "resumed");
        await RunAsync(options with { Workers = 1 }, "whole");
        foreach (var task in options.Tasks.Keys)
        {
            using var resumed = ModelDirectory.LoadAny(Path.Combine(_folder.Out("resumed"), task));
            using var whole = ModelDirectory.LoadAny(Path.Combine(_folder.Out("whole"), task));
            Assert.Equal(whole.Flat.Span.ToArray(), resumed.Flat.Span.ToArray());
        }
    }

    [Fact]
    public async Task RunAsync_FinishedAndRunAgain_TrainsNothingAndSaysTheSame()
    {
        var summary = await RunAsync(Options, "both");
        var time = File.GetLastWriteTimeUtc(Path.Combine(_folder.Out("both"), "kinds", "model.safetensors"));

        var again = await RunAsync(Options, "both");

        Assert.Equal(summary.Loss, again.Loss);
        Assert.Equal(summary.Tasks["words"].HeldOut!.Loss, again.Tasks["words"].HeldOut!.Loss);
        Assert.Equal(time, File.GetLastWriteTimeUtc(Path.Combine(_folder.Out("both"), "kinds", "model.safetensors")));
        var other = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Options with { Seed = 1 }, "both"));
        Assert.Contains("that was not made by this training", other.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_AClassifierOfTheSameLabels_GoesOnWithItsHead()
    {
        await RunAsync(Single with { MaxSteps = 40 }, "first");
        var options = Single with
        {
            Architecture = null,
            Tokenizer = null,
            Student = _folder.Out("first"),
            MaxSteps = 1,
            LearningRate = 1e-9,
        };

        var summary = await RunAsync(options, "second");

        Assert.True(summary.Tasks["kinds"].HeldOut!.Accuracy > 0.9);
    }

    /// <summary>Lines without labels learn from the teacher alone, whatever its tokenizer is.</summary>
    [Fact]
    public async Task RunAsync_UnlabelledTextsAndATeacherOfAnotherVocabulary_LearnsItsLabels()
    {
        var other = _folder.WriteTokenizer("other", "get of pens cups pens cups number", 280, "<|end|>");
        var words = Options.Tasks["words"];
        var teacher = Options with
        {
            Tasks = new Dictionary<string, LabelTask> { ["words"] = words },
            Tokenizer = other,
            MaxSteps = 80,
        };
        await RunAsync(teacher, "teacher");
        var bare = words with
        {
            File = Write("bare", [.. Enumerable.Range(10, 60).Select(i => $$"""{"text": "get {{i}} of cups"}""")]),
            EvalFile = In("spans"),
            Teacher = _folder.Out("teacher"),
        };

        var summary = await RunAsync(
            Options with
            {
                Tasks = new Dictionary<string, LabelTask> { ["words"] = bare },
                MaxSteps = 80,
                KdTemperature = Schedule.Constant(1),
            },
            "student"
        );

        Assert.Equal(60, summary.Tasks["words"].Unlabelled);
        Assert.True(summary.Tasks["words"].HeldOut!.Accuracy > 0.8, $"{summary.Tasks["words"].HeldOut}");
    }

    /// <summary>A task that only a teacher labels counts by what is lost against it, and takes no figure from the other's.</summary>
    [Fact]
    public async Task RunAsync_HeldOutTextsThatOnlyATeacherLabels_AreJudgedByIt()
    {
        var kinds = Options.Tasks["kinds"];
        await RunAsync(Single with { MaxSteps = 40 }, "teacher");
        var bare = Write(
            "bare",
            [.. File.ReadLines(In("kinds")).Select(line => line[..line.IndexOf(", \"label\"", StringComparison.Ordinal)] + "}")]
        );
        var observer = new RecordingObserver();
        var options = Options with
        {
            Tasks = new Dictionary<string, LabelTask>
            {
                ["kinds"] = kinds,
                ["taught"] = new() { File = bare, Teacher = _folder.Out("teacher") },
            },
            LoadBestModelAtEnd = true,
            MaxSteps = 10,
        };

        var summary = await ClassifyStage.RunAsync(options, _folder.Out("student"), observer, TestContext.Current.CancellationToken);

        Assert.NotNull(summary.Tasks["kinds"].HeldOut);
        var taught = summary.Tasks["taught"].HeldOut!;
        Assert.Equal((0, double.NaN), (taught.Count, taught.Accuracy));
        var (kl, agreement) = ByHand(_folder.Out("teacher"), Path.Combine(_folder.Out("student"), "taught"), bare, taught.Labels.Count);
        Assert.Equal(kl, taught.Kl!.Value, 1e-5);
        Assert.Equal(agreement, taught.Agreement!.Value, 1e-12);
        var again = await RunAsync(options, "student");
        Assert.Equal((taught.Kl, taught.Agreement), (again.Tasks["taught"].HeldOut!.Kl, again.Tasks["taught"].HeldOut!.Agreement));
        var figures = observer.Values.Last(values => values.ContainsKey("eval_kinds_loss"));
        Assert.True(figures["eval_taught_kl"] > 0);
        Assert.InRange(figures["eval_taught_agreement"], 0, 1);
        Assert.False(figures.ContainsKey("eval_taught_accuracy"));
        Assert.Contains(observer.Messages, line => line.Contains("; best at step", StringComparison.Ordinal));
        Assert.Contains(observer.Messages, line => line.Contains("; taught: KL 0.", StringComparison.Ordinal));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(
                options with
                {
                    Tasks = options.Tasks.Where(task => task.Key == "taught").ToDictionary(),
                    MetricForBestModel = HeldOutMetric.Accuracy,
                },
                "refused"
            )
        );
        Assert.StartsWith("metric_for_best_model: accuracy is of labels, and no held-out text has one", error.Message);
    }

    /// <summary>
    /// Mean KL(teacher ‖ student) in float64 and the share of equal labels, over the texts that the fraction of 0.2 holds out, each read
    /// alone by both.
    /// </summary>
    static (double Kl, double Agreement) ByHand(string teacher, string student, string file, int labels)
    {
        using var first = ModelDirectory.LoadAny(teacher);
        using var second = ModelDirectory.LoadAny(student);
        var encoder = new LabelEncoder(Tokenizer.Load(teacher), LabelKind.Sequence, positions: 64, maxLength: null);
        var pairs = File.ReadLines(file)
            .Select(line => (string)JsonNode.Parse(line)!["text"]!)
            .Where(text => XxHash64.HashToUInt64(MemoryMarshal.AsBytes(text.AsSpan())) / (double)ulong.MaxValue < 0.2)
            .Select(text => encoder.Encode(new LabelledText("", text)).Unlabelled())
            .Select(text => (Of(first, text), Of(second, text)))
            .ToList();
        Assert.InRange(pairs.Count, 5, 25);
        return (
            pairs.Average(pair => Enumerable.Range(0, labels).Sum(id => pair.Item1[id] * Math.Log(pair.Item1[id] / pair.Item2[id]))),
            pairs.Average(pair => pair.Item1.IndexOf(pair.Item1.Max()) == pair.Item2.IndexOf(pair.Item2.Max()) ? 1.0 : 0)
        );

        static List<double> Of(ModelParameters model, TraceTokens text) =>
            [.. LabelPredictions.Of(model, [text], tokens: 64, workers: 1).Single().Select(value => Math.Exp(value))];
    }

    public static TheoryData<string, string> Wrong =>
        new()
        {
            { """{"text": "a", "label": "x"}""", "kinds: FILE: has the one label 'x'; there is nothing to tell apart" },
            { """{"text": "a b", "label": null}""", "FILE, line 1: has no field 'label'" },
            {
                "{\"text\": \"" + string.Join(' ', Enumerable.Repeat("pens", 90)) + "\", \"label\": \"x\"}",
                "and the model 64 positions; set max_length: 64"
            },
        };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task RunAsync_TextsThatAreNoTask_AreRefusedInALine(string line, string told)
    {
        var file = Write("wrong", [line]);
        var task = new LabelTask { File = file };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(
                Single with
                {
                    Tasks = new Dictionary<string, LabelTask> { ["kinds"] = task },
                    EvalFraction = 0,
                },
                "wrong"
            )
        );

        Assert.Contains(told.Replace("FILE", file, StringComparison.Ordinal), error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task RunAsync_ATeacherThatDoesNotFit_IsRefusedByName()
    {
        await RunAsync(Single, "teacher");
        var teacher = _folder.Out("teacher");
        var others = new LabelTask
        {
            File = Write("others", ["""{"text": "a", "label": "x"}""", """{"text": "b", "label": "y"}"""]),
            Teacher = teacher,
        };
        var unknown = Options.Tasks["kinds"] with { EvalFile = Write("unknown", ["""{"text": "a", "label": "mugs"}"""]) };

        Assert.StartsWith(
            $"kinds: teacher {teacher} has other labels: it knows cups, pens, and the task has x, y",
            await ErrorOf(others),
            StringComparison.Ordinal
        );
        Assert.StartsWith(
            $"kinds: teacher {teacher} labels whole texts, and the task's kind is token",
            await ErrorOf(Options.Tasks["words"] with { Teacher = teacher }),
            StringComparison.Ordinal
        );
        Assert.EndsWith("unknown label 'mugs'; known in task kinds: cups, pens", await ErrorOf(unknown), StringComparison.Ordinal);
        using (var broken = ModelDirectory.LoadAny(teacher))
        {
            broken.Values("model.norm.weight").Fill(float.NaN);
            ModelDirectory.Save(teacher, broken);
        }

        Assert.Matches(
            @"^.*kinds\.jsonl, line \d+: teacher .* gives labels of this text probabilities that are no numbers",
            await ErrorOf(Options.Tasks["kinds"] with { Teacher = teacher })
        );

        async Task<string> ErrorOf(LabelTask task) =>
            (
                await Assert.ThrowsAsync<InvalidInputException>(() =>
                    RunAsync(
                        Single with
                        {
                            Tasks = new Dictionary<string, LabelTask> { ["kinds"] = task },
                            EvalFraction = 0,
                        },
                        "wrong"
                    )
                )
            ).Message;
    }

    /// <summary>A student's token has the mean of what the teacher says of its bytes.</summary>
    [Fact]
    public void Spread_TokensOfAnotherVocabulary_AreMeansOverBytes()
    {
        float[] values = [.. new[] { 0.9, 0.1, 0.2, 0.8 }.Select(value => (float)Math.Log(value))];
        var taught = new float[6];

        TaskTeacher.Spread(values, [new(0, 2), new(2, 6)], taught, [new(0, 1), new(1, 4), new(4, 6)], [1, 0]);

        double[] expected = [0.1, 0.9, (0.1 + 0.8 + 0.8) / 3, (0.9 + 0.2 + 0.2) / 3, 0.8, 0.2];
        Assert.All(expected.Zip(taught), pair => Assert.Equal(pair.First, Math.Exp(pair.Second), 1e-6));
    }

    string In(string name) => Path.Combine(_folder.Path, name + ".jsonl");

    string Write(string name, string[] lines)
    {
        File.WriteAllLines(In(name), lines);
        return In(name);
    }

    Task<ClassifySummary> RunAsync(ClassifyOptions options, string name) =>
        ClassifyStage.RunAsync(options, _folder.Out(name), SilentObserver.Instance, TestContext.Current.CancellationToken);
}
