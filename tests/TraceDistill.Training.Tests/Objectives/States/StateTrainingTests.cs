using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests.Objectives.States;

/// <summary>Trainings whose objectives compare states.</summary>
public sealed partial class StateTrainingTests : TrainStageCase
{
    static readonly ObjectiveChoice[] All =
    [
        new() { KlForward = new KlForward() },
        new() { HiddenStates = new HiddenStates { Projection = StateProjection.Linear } },
        new() { AttentionMaps = new AttentionMaps { HeadWeights = HeadWeights.Learned } },
        new() { ValueRelations = new ValueRelations() },
        new() { Rkd = new Relations() },
        new() { Fsp = new FlowOfSolution() },
        new() { Crd = new Contrastive() },
        new() { Adversarial = new Adversarial() },
    ];

    [Fact]
    public async Task RunAsync_InterruptedOrWithOtherWorkers_EndsWithTheSameBits()
    {
        var options = await TaughtAsync(All);
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        var whole = await TrainAsync(options, "whole");
        Assert.Equal(whole, await TrainAsync(options, "resumed"));
        Assert.Equal(whole, await TrainAsync(options with { Workers = 1 }, "one worker"));
        Assert.NotEqual(whole, await TrainAsync(options with { Objectives = [All[0]] }, "without states"));
    }

    /// <summary>The model's files are those of any other student, and each objective is reported by its name.</summary>
    [Fact]
    public async Task RunAsync_AllObjectives_AreReportedAndLeaveNothingInTheModel()
    {
        var options = await TaughtAsync(All) with { LoggingSteps = 1 };
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken);

        var last = observer.Values.Last(values => values.ContainsKey("loss"));
        Assert.All(All.Skip(1).Select(choice => choice.Chosen.Name), name =>
            Assert.True(double.IsFinite(last[$"loss_{name}"]) && last[$"grad_norm_{name}"] > 0, name)
        );
        using var student = ModelDirectory.Load(Folder.Out("student"));
        using var teacher = ModelDirectory.Load(Folder.Out("teacher"));
        Assert.Equal(teacher.Names, student.Names);
    }

    /// <summary>TinyBERT's first stage: no loss of tokens at all, and layers that come to be the teacher's.</summary>
    [Fact]
    public async Task RunAsync_HiddenStatesAlone_MakesThemTheTeachers()
    {
        var options = await TaughtAsync([new() { HiddenStates = new HiddenStates() }]) with
        {
            MaxSteps = 60,
            LearningRate = 1e-2,
            LoggingSteps = 1,
        };
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken);

        double[] losses = [.. observer.Values.Where(values => values.ContainsKey("loss")).Select(values => values["loss_hidden_states"])];
        Assert.InRange(losses[^1], 0, 0.2 * losses[0]);
    }

    /// <summary>A student that is its teacher has no distance from it.</summary>
    [Fact]
    public async Task RunAsync_StudentThatIsItsTeacher_HasNoDistance()
    {
        var options = await TaughtAsync([
            new() { HiddenStates = new HiddenStates() },
            new() { AttentionMaps = new AttentionMaps() },
            new() { ValueRelations = new ValueRelations() },
            new() { Rkd = new Relations() },
            new() { Fsp = new FlowOfSolution() },
        ]);
        options = options with { Architecture = null, Student = Folder.Out("teacher"), MaxSteps = 1, LearningRate = 1e-9 };

        var summary = await RunAsync(options, "student");

        Assert.InRange(summary.Loss, -1e-6, 1e-6);
    }

    /// <summary>One more than twice the tokens of a sequence fits: a micro-batch holds one or two.</summary>
    [Fact]
    public async Task RunAsync_MicroBatchesOfOneSequence_AreToldOnceAndDoNotCountInTheMean()
    {
        var options = await TaughtAsync([new() { Rkd = new Relations() }, new() { CrossEntropy = new CrossEntropy() }]) with
        {
            LoggingSteps = 1,
            MicroBatchTokens = 40,
        };
        RecordingObserver some = new(),
            none = new();

        await TrainStage.RunAsync(options, Folder.Out("some"), some, TestContext.Current.CancellationToken);
        await TrainStage.RunAsync(options with { MicroBatchTokens = 240 }, Folder.Out("none"), none, TestContext.Current.CancellationToken);

        var told = Assert.Single(some.Messages, line => line.StartsWith("objectives: rkd", StringComparison.Ordinal));
        Assert.Matches(
            @"^objectives: rkd compares 2 sequences or more of a micro-batch: [\d,]+ of [\d,]+ tokens of step \d are in smaller ones, "
                + @"which have no such loss; raise micro_batch_tokens \(now 40\)$",
            told
        );
        Assert.DoesNotContain(none.Messages, line => line.StartsWith("objectives:", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("rkd", 1_000, 20, "batch_tokens 20")]
    [InlineData("crd", 20, 240, "micro_batch_tokens 20")]
    public async Task RunAsync_MicroBatchesThatNeverHoldTwoSequences_AreRefusedInOneLine(string name, int micro, int batch, string setting)
    {
        ObjectiveChoice[] objectives = [name == "rkd" ? new() { Rkd = new Relations() } : new() { Crd = new Contrastive() }];
        var options = await TaughtAsync(objectives) with { MicroBatchTokens = micro, BatchTokens = batch };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student"));

        Assert.Matches(
            $@"^objectives: {name} compares 2 sequences or more of a micro-batch, and the shortest 2 have \d+ tokens together, more "
                + $@"than {setting}: raise \w+ to several times that$",
            error.Message
        );
    }

    [Theory]
    [InlineData("even", 2, 4, "0:1 1:3")]
    [InlineData("even", 3, 4, "0:1 1:2 2:3")]
    [InlineData("even", 4, 2, "0:0 1:0 2:1 3:1")]
    [InlineData("even", 6, 12, "0:1 1:3 2:5 3:7 4:9 5:11")]
    [InlineData("last", 2, 4, "1:3")]
    [InlineData("last:2", 3, 5, "1:3 2:4")]
    [InlineData("0:3, 1:1", 2, 4, "0:3 1:1")]
    public void Of_Map_GivesPairsOfLayers(string text, int student, int teacher, string expected) =>
        Assert.Equal(
            expected,
            string.Join(' ', LayerMap.Parse(text, null).Of(student, teacher).Select(pair => $"{pair.Student}:{pair.Teacher}"))
        );

    [Theory]
    [InlineData("odd")]
    [InlineData("last:0")]
    [InlineData("0:-1")]
    [InlineData("0")]
    [InlineData("")]
    public void Parse_NoMapOfLayers_SaysWhatOneIs(string text)
    {
        var error = Assert.Throws<FormatException>(() => LayerMap.Parse(text, null));

        Assert.Equal(
            $"\"{text}\" is no map of layers: say even, last, last:K, or pairs of student:teacher such as 0:1, 2:5",
            error.Message
        );
    }

    public static TheoryData<string, Func<ObjectiveChoice>, string> Refused() =>
        new()
        {
            {
                "a layer beyond",
                () =>
                    new() { HiddenStates = new HiddenStates { Layers = LayerMap.Parse("0:7", null) } },
                "objectives: layers: 0:7 goes beyond the student's 2 or the teacher's 2 layers, which count from 0"
            },
            {
                "one layer alone",
                () =>
                    new() { Fsp = new FlowOfSolution { Layers = LayerMap.Last } },
                "objectives: fsp: it relates layers to each other: name at least two"
            },
            {
                "heads that do not divide",
                () =>
                    new() { ValueRelations = new ValueRelations { RelationHeads = 5 } },
                "objectives: value_relations: values of 32 and 32 channels cannot be cut into 5 relation_heads: "
                    + "give a number that divides both"
            },
        };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task RunAsync_ModelsThatCannotBeCompared_AreRefusedInOneLine(string _, Func<ObjectiveChoice> choice, string message)
    {
        var options = await TaughtAsync([choice()]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student"));

        Assert.Equal(message, error.Message);
    }

    [Fact]
    public async Task RunAsync_StudentOfAnotherSize_IsProjectedOrRefused()
    {
        var options = await TaughtAsync([new() { HiddenStates = new HiddenStates() }]);
        options = options with { Architecture = options.Architecture! with { HiddenSize = 16 } };

        await RunAsync(options, "projected");
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(options with { Objectives = [new() { HiddenStates = new HiddenStates { Projection = StateProjection.None } }] }, "not")
        );

        Assert.Equal("objectives: hidden_states: hidden sizes are 16 and 32: take projection: linear, or distance: cka", error.Message);
    }

    [Fact]
    public async Task RunAsync_AttentionOfARecurrentStudent_IsRefusedInOneLine()
    {
        var options = await TaughtAsync([new() { AttentionMaps = new AttentionMaps() }]);
        options = options with
        {
            Architecture = new()
            {
                ModelType = "mingru",
                HiddenSize = 32,
                NumHiddenLayers = 2,
                MaxPositionEmbeddings = 64,
            },
        };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student"));

        Assert.Equal(
            "objectives: attention_maps: a recurrent model has no attention: take hidden_states, which every model has",
            error.Message
        );
    }

    [Fact]
    public void Validate_StatesWithoutATeacherOnDisk_AreRefusedByName()
    {
        var options = Options with { Objectives = [new() { HiddenStates = new HiddenStates() }] };

        var problem = Assert.Single(options.Validate(new ValidationContext(options)));

        Assert.Equal(
            "hidden_states compares states inside of both models; name the one teacher's model directory with teacher",
            problem.ErrorMessage
        );
    }

    /// <summary>The README's table has every objective of states, by its key, and no other.</summary>
    [Fact]
    public void Readme_Table_HasEveryObjectiveOfStates()
    {
        var readme = File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "src/TraceDistill.Training/README.md"));
        var section = readme[readme.IndexOf("\n### Objectives of states\n", StringComparison.Ordinal)..];
        section = section[..section.IndexOf("\n### ", 5, StringComparison.Ordinal)];

        Assert.Equal(
            All.Skip(1).Select(choice => choice.Chosen.Name).Order(StringComparer.Ordinal),
            Key().Matches(section).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal)
        );
        Assert.Equal(
            typeof(StateObjective).Assembly.GetTypes().Count(type => !type.IsAbstract && type.IsAssignableTo(typeof(StateObjective))),
            All.Length - 1
        );
    }

    /// <summary>A trained teacher of the students' shape, and options of a student of it.</summary>
    async Task<TrainOptions> TaughtAsync(ObjectiveChoice[] objectives)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await RunAsync(Options with { MaxSteps = 20, LearningRate = 1e-2 }, "teacher");
        return Options with { Teacher = Folder.Out("teacher"), Objectives = objectives, Seed = 11 };
    }

    [GeneratedRegex(@"^\| `(\w+)` \|", RegexOptions.Multiline)]
    private static partial Regex Key();
}
