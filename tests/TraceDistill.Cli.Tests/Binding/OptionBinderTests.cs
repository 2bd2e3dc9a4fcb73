using System.ComponentModel.DataAnnotations;
using TraceDistill.Cli.Binding;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Pretraining;
using Xunit;

namespace TraceDistill.Cli.Tests.Binding;

public class OptionBinderTests
{
    [Fact]
    public void BindRecord_EveryKindOfValue_GetsItsType()
    {
        var options = Bind<SampleOptions>(
            """
            name: first
            max_steps: 1_500
            learning_rate: 1e-3
            seed: 9000000000
            shuffle: true
            shape: two_sided
            tags: [a, b]
            sizes: 3, 5
            models: { teacher: one, student: two }
            inner: { width: 7 }
            weight: 0.5
            """
        );

        Assert.Equal("first", options.Name);
        Assert.Equal(1500, options.MaxSteps);
        Assert.Equal(0.001, options.LearningRate);
        Assert.Equal(9_000_000_000, options.Seed);
        Assert.True(options.Shuffle);
        Assert.Equal(SampleShape.TwoSided, options.Shape);
        Assert.Equal(["a", "b"], options.Tags);
        Assert.Equal([3, 5], options.Sizes);
        Assert.Equal(["teacher=one", "student=two"], options.Models.Select(pair => $"{pair.Key}={pair.Value}"));
        Assert.Equal(7, options.Inner!.Width);
        Assert.Equal(new Ramp { From = 0.5, To = 0.5 }, options.Weight);
    }

    /// <summary>A stage that is like another one says so of what it does without.</summary>
    [Fact]
    public void BindRecord_NullInPlaceOfAListOrAMap_IsAsIfItWereNotGiven()
    {
        var options = Bind<TrainOptions>(
            "{ traces: t, student: s, peers: null, objectives: ~, teachers: null, early_exits: null, ewc: null, rehearsal: null, "
                + "lora_target_modules: null, frozen_parameters: null, curriculum: null, kd_alpha: null, max_length: null, teacher: null }"
        );

        Assert.Empty(options.Peers);
        Assert.Empty(options.Objectives);
        Assert.Null(options.EarlyExits);
        Assert.Equal(new TrainOptions().LoraTargetModules, options.LoraTargetModules);
    }

    [Fact]
    public void BindRecord_NullInPlaceOfANumber_IsAMistake() =>
        Assert.Contains(
            "eval_steps: expected a whole number, found nothing",
            Problems<TrainOptions>("{ traces: t, student: s, eval_steps: null }")
        );

    [Fact]
    public void BindRecord_Objectives_AreNamesWeightsOrMaps()
    {
        var options = Bind<TrainOptions>(
            """
            traces: t
            student: s
            objectives:
              - kl_forward
              - cross_entropy: 0.3
              - jsd: { weight: { schedule: linear, from: 1, to: 0.5 }, beta: 0.25, temperature: 2 }
            """
        );

        Assert.Equal(
            [
                new ObjectiveChoice { KlForward = new KlForward() },
                new ObjectiveChoice { CrossEntropy = new CrossEntropy { Weight = Schedule.Constant(0.3) } },
                new ObjectiveChoice
                {
                    Jsd = new JensenShannon
                    {
                        Weight = new Schedule
                        {
                            Kind = ScheduleKind.Linear,
                            From = 1,
                            To = 0.5,
                        },
                        Beta = 0.25,
                        Temperature = Schedule.Constant(2),
                    },
                },
            ],
            options.Objectives
        );
    }

    [Fact]
    public void BindRecord_SeveralFaultyItemsOfAList_AreAllReported()
    {
        string[] lines =
        [
            .. Problems<TrainOptions>(
                    """
                    traces: t
                    student: s
                    objectives: [klforward, { kl_forward: 1, kl_reverse: 1 }, { jsd: { beta: 2 } }, { kl_revers: 1 }, { dkd: x }]
                    """
                )
                .Split('\n')
                .Skip(1),
        ];

        Assert.Equal(5, lines.Length);
        Assert.EndsWith("objectives[0]: unknown objective \"klforward\"; did you mean \"kl_forward\"?", lines[0]);
        Assert.EndsWith("put a dash, or braces, around kl_forward and kl_reverse", lines[1]);
        Assert.EndsWith("objectives[2].jsd.beta: must be from 0.001 to 0.999; at the ends it is kl_forward and kl_reverse", lines[2]);
        Assert.EndsWith("objectives[3]: unknown key \"kl_revers\"; did you mean \"kl_reverse\"?", lines[3]);
        Assert.Contains("objectives[4].dkd: expected a number or a map with schedule, from and to, found \"x\"", lines[4]);
    }

    /// <summary>A rule between settings may find fault with the default of one that is required, and that is none.</summary>
    [Fact]
    public void BindRecord_RequiredSettingMissing_TellsOnlyWhatElseIsMissing() =>
        Assert.Equal(
            ["model", "format"],
            Problems<Cli.Commands.ExportOptions>("quantization: q8_0").Split('\n').Skip(1).Select(line => line.Split(": ")[1])
        );

    [Fact]
    public void BindRecord_TypeThatParsesItselfGivenAsMap_IsBoundAsRecord() =>
        Assert.Equal(new Ramp { From = 0.9, To = 0.25 }, Bind<SampleOptions>("{ name: a, weight: { from: 0.9, to: 0.25 } }").Weight);

    [Fact]
    public void BindRecord_ValueOfAnyKind_KeepsYamlsOwnTypes()
    {
        var extra = Bind<Teachers.Options.GenerateOptions>(
            """
            problems: p.jsonl
            serve: model
            extra_body: { chat_template_kwargs: { enable_thinking: false }, top_k: 20, min_p: 0.05, guided_choice: ["a", "20"], priority: ~, note: plain words }
            """
        ).ExtraBody!;

        Assert.Equal(
            """{"chat_template_kwargs":{"enable_thinking":false},"top_k":20,"min_p":0.05,"guided_choice":["a","20"],"priority":null,"note":"plain words"}""",
            System.Text.Json.JsonSerializer.Serialize(extra)
        );
    }

    [Fact]
    public void BindRecord_OnlyRequiredGiven_OthersKeepTheirDefaults()
    {
        var options = Bind<SampleOptions>("name: a");

        Assert.Equal(new SampleOptions { Name = "a" }.MaxSteps, options.MaxSteps);
        Assert.Null(options.Seed);
    }

    [Fact]
    public void BindRecord_SeveralProblems_ListsAllWithPlaceKeyAndExpectation()
    {
        var message = Problems<SampleOptions>(
            """
            max_step: 5
            learning_rate: fast
            shape: round
            inner: { widht: 3 }
            tags: { a: 1 }
            dropout: 1.5
            """
        );

        Assert.Equal(
            """
            test.yaml: 8 problems
            test.yaml:1:1: unknown key "max_step"; did you mean "max_steps"?
            test.yaml:1:1: name: is required: give text
            test.yaml:2:16: learning_rate: expected a number, found "fast"
            test.yaml:3:8: shape: expected one of flat, two_sided, found "round"
            test.yaml:4:8: inner.width: is required: give a whole number
            test.yaml:4:10: inner: unknown key "widht"; did you mean "width"?
            test.yaml:5:7: tags[0]: expected text, found a map
            test.yaml:6:10: dropout: must be from 0 to 1
            """,
            message
        );
    }

    [Theory]
    [InlineData("name:", "test.yaml:1:6: name: expected text, found nothing")]
    [InlineData("{ name: a, max_steps: 1.5 }", "test.yaml:1:23: max_steps: expected a whole number, found \"1.5\"")]
    [InlineData("{ name: a, max_steps: 3000000000 }", "test.yaml:1:23: max_steps: expected a whole number, found \"3000000000\"")]
    [InlineData("{ name: a, shuffle: maybe }", "test.yaml:1:21: shuffle: expected true or false, found \"maybe\"")]
    [InlineData("{ name: a, models: x }", "test.yaml:1:20: models: expected a map of names to values, each text, found \"x\"")]
    [InlineData("{ name: a, weight: heavy }", "test.yaml:1:20: weight: a ramp is a number")]
    [InlineData(
        "{ name: a, zzzzzzzz: 1 }",
        "test.yaml:1:12: unknown key \"zzzzzzzz\"; known: dropout, inner, learning_rate, "
            + "max_steps, models, name, seed, shape, shuffle, sizes, tags, weight"
    )]
    [InlineData("{ name: a, learning_rate: 0.1, max_steps: 0 }", "test.yaml:1:43: max_steps: cannot be 0 with a learning_rate")]
    public void BindRecord_OneProblem_IsToldInOneLine(string yaml, string expected) =>
        Assert.Equal(expected, Problems<SampleOptions>(yaml));

    [Fact]
    public void BindRecord_ForbiddenValueAndForbiddenCombination_TellsBoth() =>
        Assert.Equal(
            "test.yaml: 2 problems\ntest.yaml:1:21: dropout: must be from 0 "
                + "to 1\ntest.yaml:1:55: max_steps: cannot be 0 with a learning_rate",
            Problems<SampleOptions>("{ name: a, dropout: 7, learning_rate: 0.1, max_steps: 0 }")
        );

    [Fact]
    public void BindRecord_NestedRecordGivenAsFileName_ReadsTheFile()
    {
        using var folder = new TemporaryDirectory();
        File.WriteAllText(folder.File("inner.yaml"), "width: 11");

        Assert.Equal(11, Bind<SampleOptions>($"{{ name: a, inner: \"{folder.File("inner.yaml")}\" }}").Inner!.Width);
    }

    [Theory]
    [InlineData("a: [1", "test.yaml:2:1")]
    [InlineData("a: { b: 1", "test.yaml:")]
    [InlineData("{", "test.yaml:")]
    [InlineData("a: 1\nb: {", "test.yaml:")]
    [InlineData("a:\n\t- 1", "test.yaml:2:1")]
    [InlineData("a: *b", "test.yaml:1:4: no anchor &b before *b")]
    [InlineData("a: &a [*a]", "test.yaml:1:8: *a is within its own anchor, which has no end")]
    [InlineData("a: &a { b: { c: *a } }", "test.yaml:1:17: *a is within its own anchor, which has no end")]
    [InlineData("? [1]\n: 2", "test.yaml:1:3: a key must be plain text")]
    [InlineData("a: 1\n---\nb: 2", "test.yaml:2:1: a second YAML document")]
    [InlineData("a: \"x", "test.yaml:")]
    [InlineData("a: !!binary x\nb: %", "test.yaml:2")]
    [InlineData("%YAML 9.9\n---\na: 1", "test.yaml:1")]
    [InlineData("a: 1\na: 2", "test.yaml:2:1")]
    [InlineData("a: 1\n  b: 2", "test.yaml:2:4")]
    [InlineData("- 1", "test.yaml:1:1: expected keys with values, found a list")]
    [InlineData("", "test.yaml: the file is empty")]
    public void ReadFile_NotAMap_NamesTheLine(string yaml, string start)
    {
        var message = Assert.Throws<InvalidInputException>(() => Parse(yaml)).Message;

        Assert.StartsWith(start, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    /// <summary>Given with the value that it has anyway, too: whoever wrote it means it.</summary>
    [Theory]
    [InlineData("num_train_epochs: 2, max_steps: 1000", "num_train_epochs: takes the place of max_steps")]
    [InlineData("warmup_steps: 10, warmup_ratio: 0.03", "warmup_steps: takes the place of warmup_ratio")]
    public void BindRecord_SettingInPlaceOfAnother_IsRefusedBesideIt(string settings, string message)
    {
        Assert.EndsWith(
            $": {message}, which is given too: leave one of the two out",
            Problems<TrainOptions>($"{{ traces: t, student: s, {settings} }}")
        );
        Bind<TrainOptions>($"{{ traces: t, student: s, {settings.Split(',')[0]} }}");
        Bind<TrainOptions>($"{{ traces: t, student: s, {settings[..settings.LastIndexOf(' ')]} null }}");
        Bind<TrainOptions>($"{{ traces: t, student: s, {settings.Split(',')[1]} }}");
    }

    [Fact]
    public void BindRecord_FamiliesBesideAFileOfProblems_AreRefused()
    {
        const string Model = "architecture: { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1 }";

        Assert.EndsWith(
            ": problems: takes the place of family, which is given too: leave one of the two out",
            Problems<PretrainOptions>($"{{ problems: p.jsonl, family: [clock], {Model} }}")
        );
        Bind<PretrainOptions>($"{{ problems: p.jsonl, {Model} }}");
    }

    static T Bind<T>(string yaml)
    {
        var problems = new ProblemList();
        var options = new OptionBinder(problems).BindRecord(typeof(T), Parse(yaml), "");
        problems.ThrowIfAny("test.yaml");
        return Assert.IsType<T>(options);
    }

    static string Problems<T>(string yaml) => Assert.Throws<InvalidInputException>(() => Bind<T>(yaml)).Message;

    static ConfigMap Parse(string yaml)
    {
        using var folder = new TemporaryDirectory();
        var file = folder.File("test.yaml");
        File.WriteAllText(file, yaml);
        try
        {
            return (ConfigMap)WithoutFolder(YamlConfig.ReadFile(file), folder.Path);
        }
        catch (InvalidInputException exception)
        {
            throw new InvalidInputException(exception.Message.Replace(folder.Path + Path.DirectorySeparatorChar, ""));
        }
    }

    static ConfigNode WithoutFolder(ConfigNode node, string folder)
    {
        var location = node.Location with { Source = Path.GetRelativePath(folder, node.Location.Source) };
        return node switch
        {
            ConfigMap map => map with
            {
                Location = location,
                Entries =
                [
                    .. map.Entries.Select(entry =>
                        entry with
                        {
                            Location = entry.Location with { Source = location.Source },
                            Value = WithoutFolder(entry.Value, folder),
                        }
                    ),
                ],
            },
            ConfigList list => list with { Location = location, Items = [.. list.Items.Select(item => WithoutFolder(item, folder))] },
            _ => node with { Location = location },
        };
    }
}

public enum SampleShape
{
    Flat,
    TwoSided,
}

public sealed record InnerOptions
{
    public required int Width { get; init; }
}

/// <summary>A type that is written as one value or as a map, as schedules are.</summary>
public sealed record Ramp : IParsable<Ramp>
{
    public double From { get; init; }

    public double To { get; init; }

    public static Ramp Parse(string s, IFormatProvider? provider) =>
        double.TryParse(s, provider, out var value)
            ? new Ramp { From = value, To = value }
            : throw new FormatException("a ramp is a number");

    public static bool TryParse(string? s, IFormatProvider? provider, out Ramp result) => throw new NotSupportedException();
}

public sealed record SampleOptions : IValidatableObject
{
    public required string Name { get; init; }

    public int MaxSteps { get; init; } = 100;

    public double? LearningRate { get; init; }

    public long? Seed { get; init; }

    public bool Shuffle { get; init; }

    public SampleShape Shape { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public int[] Sizes { get; init; } = [];

    public IReadOnlyDictionary<string, string> Models { get; init; } = new Dictionary<string, string>();

    public InnerOptions? Inner { get; init; }

    public Ramp Weight { get; init; } = new();

    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    public double Dropout { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (LearningRate is not null && MaxSteps == 0)
        {
            yield return new ValidationResult("cannot be 0 with a learning_rate", [nameof(MaxSteps)]);
        }
    }
}
