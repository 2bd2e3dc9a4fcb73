using TraceDistill.Data.Contracts;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Distillation;

/// <summary>Students that look at pictures of what their teacher read.</summary>
public sealed class TrainStagePictureTests : TrainStageCase
{
    static readonly PictureEncoderSettings Encoder = ReferencePictures.Shape;

    TrainOptions Seeing =>
        Options with
        {
            Architecture = Options.Architecture! with { PictureEncoder = Encoder, MaxPositionEmbeddings = 80 },
            Pictures = [Folder.Out("problems") + "/p.jsonl"],
        };

    [Fact]
    public async Task RunAsync_StudentThatLooksAtPictures_TrainsItsEncoderToo()
    {
        await WriteAsync();

        await RunAsync(Seeing, "student");

        using var before = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.InitialDirectory));
        using var after = ModelDirectory.Load(Folder.Out("student"));
        Assert.Equal(Encoder, after.Configuration.Pictures);
        Assert.All(after.Names.Where(ModelParameters.IsOfPictures), name =>
            Assert.NotEqual(before.Values(name).ToArray(), after.Values(name).ToArray())
        );
    }

    [Fact]
    public async Task RunAsync_InterruptedAndRunAgain_GivesTheBitsOfAnUninterruptedRun()
    {
        await WriteAsync();
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(Seeing, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        var whole = await TrainAsync(Seeing, "whole");
        Assert.Equal(whole, await TrainAsync(Seeing, "resumed"));
        Assert.Equal(whole, await TrainAsync(Seeing with { Workers = 1 }, "one worker"));
    }

    /// <summary>The pictures count, and not what their files are called.</summary>
    [Fact]
    public async Task RunAsync_PicturesOfOtherProblems_GiveAnotherStudentAndOtherNamesTheSame()
    {
        await WriteAsync();
        var first = await TrainAsync(Seeing, "first");
        await WriteAsync(name: i => $"renamed-{i}");
        Assert.Equal(first, await TrainAsync(Seeing, "renamed"));

        await WriteAsync(picture: i => i + 1);

        Assert.NotEqual(first, await TrainAsync(Seeing, "others"));
        // The run of before is another than this one, though its options are the same.
        await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(Seeing, "first"));
    }

    [Fact]
    public async Task RunAsync_FrozenEncoder_StaysAsItWas()
    {
        await WriteAsync();

        await RunAsync(Seeing with { FrozenParameters = ["picture_encoder"] }, "student");

        using var before = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.InitialDirectory));
        using var after = ModelDirectory.Load(Folder.Out("student"));
        Assert.All(after.Names.Where(ModelParameters.IsOfPictures), name =>
            Assert.Equal(before.Values(name).ToArray(), after.Values(name).ToArray())
        );
        Assert.NotEqual(before.Values("model.norm.weight").ToArray(), after.Values("model.norm.weight").ToArray());
    }

    /// <summary>An encoder before a model that has learned to read: the rest begins as it was.</summary>
    [Fact]
    public async Task RunAsync_EncoderBeforeATextModel_BeginsWithTheModelsWeights()
    {
        await WriteAsync();
        await RunAsync(Options with { Architecture = Options.Architecture! with { MaxPositionEmbeddings = 80 } }, "text");

        await RunAsync(Seeing with { InitFrom = Folder.Out("text") }, "student");

        using var text = ModelDirectory.Load(Folder.Out("text"));
        using var initial = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.InitialDirectory));
        Assert.All(text.Names, name => Assert.Equal(text.Values(name).ToArray(), initial.Values(name).ToArray()));
        Assert.All(initial.Names.Where(name => name.EndsWith("fc1.weight", StringComparison.Ordinal)), name =>
            Assert.NotEqual(0, initial.Values(name)[0])
        );
    }

    /// <summary>Worked solutions bring their own pictures.</summary>
    [Fact]
    public async Task RunAsync_WorkedSolutionsWithPictures_AreLearned()
    {
        await WriteAsync();

        var summary = await TrainStage.RunAsync(
            Seeing with
            {
                Traces = [],
                Pictures = [],
                Problems = Folder.Out("problems") + "/p.jsonl",
                Tokenizer = Path.Combine(Folder.Path, TrainStage.StoredTokenizer),
            },
            Folder.Out("solved"),
            SilentObserver.Instance,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(20, summary.Sequences);
    }

    /// <summary>A teacher that reads has the text where the student has the picture, and says something else behind other words.</summary>
    [Fact]
    public async Task RunAsync_TeacherOnDiskThatReads_TeachesBehindItsOwnPrompt()
    {
        await WriteAsync();
        await RunAsync(Options, "reader");
        var options = Seeing with { Teacher = Folder.Out("reader"), TeacherPrompt = "text" };

        var told = await TrainAsync("told", problem => problem.Text);

        Assert.Equal(told, await TrainAsync("again", problem => problem.Text));
        Assert.NotEqual(told, await TrainAsync("misled", _ => "nothing of the kind"));

        async Task<float[]> TrainAsync(string name, Func<Problem, string> words)
        {
            await TrainStage.RunAsync(
                options,
                Folder.Out(name),
                SilentObserver.Instance,
                answers: null,
                published: null,
                problem => [new ChatMessage("user", words(problem))],
                TestContext.Current.CancellationToken
            );
            using var trained = ModelDirectory.Load(Folder.Out(name));
            return trained.Flat.Span.ToArray();
        }
    }

    [Fact]
    public async Task RunAsync_AdaptersBesideAnEncoder_LeaveItAsItWas()
    {
        await WriteAsync();
        await RunAsync(Seeing, "base");

        await RunAsync(Seeing with { Architecture = null, Student = Folder.Out("base"), LoraR = 2 }, "adapted");

        using var before = ModelDirectory.Load(Folder.Out("base"));
        using var after = ModelDirectory.Load(Folder.Out("adapted"));
        Assert.All(after.Names.Where(ModelParameters.IsOfPictures), name =>
            Assert.Equal(before.Values(name).ToArray(), after.Values(name).ToArray())
        );
    }

    [Fact]
    public async Task RunAsync_PicturesMissingOrUnfit_IsRefusedWithTheReason()
    {
        await WriteAsync();
        var file = Seeing.Pictures[0];
        await RefusedAsync(
            Seeing with
            {
                Pictures = [],
            },
            "pictures: the student looks at pictures, and traces have none; name the problem file that has those of their problems"
        );
        await RefusedAsync(
            Seeing with
            {
                QuantizationAware = QuantizationAware.Q8_0,
            },
            "a llama model with a picture_encoder cannot have the values of a GGUF file"
        );
        await RunAsync(Options, "reader");
        await RefusedAsync(
            Seeing with
            {
                Teacher = Folder.Out("reader"),
            },
            "teacher: the model does not look at 8 × 9 pictures of 6 vectors, as the student does; for a teacher that reads the text"
        );
        await WriteAsync(picture: i => i == 7 ? null : i);
        await RefusedAsync(Seeing, $"{file}: problem problem-7 has no picture, and the student looks at pictures");
        await WriteAsync(text: i => $"sum {i}");
        await RefusedAsync(Seeing, $"{file}: the prompt of trace {1:x32} does not have the text of problem problem-1 in it");
        await WriteAsync();
        File.Delete(Path.Combine(Folder.Out("problems"), "3.png"));
        await RefusedAsync(Seeing, $"{Path.Combine(Folder.Out("problems"), "3.png")}: no such file");
        File.WriteAllText(Path.Combine(Folder.Out("problems"), "3.png"), "no picture");
        await RefusedAsync(Seeing, $"{Path.Combine(Folder.Out("problems"), "3.png")}: cannot be read as a picture");

        async Task RefusedAsync(TrainOptions options, string message) =>
            Assert.StartsWith(message, (await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "refused"))).Message);
    }

    [Fact]
    public async Task RunAsync_PicturesForAStudentThatReads_AreSaidNotToBeLookedAt()
    {
        await WriteAsync();
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(
            Options with
            {
                Pictures = Seeing.Pictures,
            },
            Folder.Out("reader"),
            observer,
            TestContext.Current.CancellationToken
        );

        Assert.Single(observer.Messages, "pictures: the student has no picture_encoder, and reads the text; they are not looked at");
    }

    /// <summary>Twenty traces, and the problems that they are of.</summary>
    async Task WriteAsync(Func<int, int?>? picture = null, Func<int, string>? text = null, Func<int, string>? name = null)
    {
        var folder = Directory.CreateDirectory(Folder.Out("problems")).FullName;
        var problems = Enumerable
            .Range(1, 20)
            .Select(i =>
            {
                var path = Path.Combine(folder, $"{name?.Invoke(i) ?? $"{i}"}.png");
                var seen = picture is null ? i : picture(i);
                if (seen is { } seed)
                {
                    File.WriteAllBytes(path, PictureFile.ToPng(ReferencePictures.Random(seed)));
                }

                return new Problem
                {
                    Id = $"problem-{i}",
                    Text = text?.Invoke(i) ?? $"add {i}",
                    Answer = $"{i}",
                    Solution = $"{i} and {i * 2} are {i * 3}",
                    Family = "sums",
                    Picture = seen is null ? null : path,
                };
            });
        await ProblemWriter.WriteAsync(Path.Combine(folder, "p.jsonl"), problems, TestContext.Current.CancellationToken);
        if (picture is null && text is null && name is null && !File.Exists(Path.Combine(Folder.Path, "manifest.json")))
        {
            await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        }
    }
}
