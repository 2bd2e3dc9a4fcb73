using System.Text.RegularExpressions;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Models.Cpu;
using TraceDistill.Tests.Support;
using TraceDistill.Training;
using TraceDistill.Training.Distillation;
using Xunit;

namespace TraceDistill.Cli.Tests.Stages;

/// <summary>What is sure to fail, or to be other than wanted, is told before the first request.</summary>
public sealed class ForesightTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new()
    {
        Stages = [new ProblemsVerb(), new PretrainVerb(), new GenerateVerb(), new TrainVerb(), new EvaluateVerb(), new ReportVerb()],
        Clock = TimeProvider.System,
    };

    public void Dispose() => _cli.Dispose();

    [Theory]
    [InlineData("problems: problems/train.jsonl")]
    [InlineData("traces: traces, pictures: [problems/train.jsonl]")]
    public async Task Run_StudentThatLooksAndProblemsThatAreNotDrawn_FailsBeforeTheFirstRequest(string data)
    {
        var recipe = $$$"""
            name: looking
            stages:
              problems: {do: problems, family: all, count: 20, held_out: 5}
              traces: {do: generate, problems: problems/train.jsonl, endpoint: "http://127.0.0.1:1/v1", model: m}
              student:
                do: train
                {{{data.Replace(", ", "\n    ", StringComparison.Ordinal)}}}
                tokenizer: {{{Teacher}}}
                architecture: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 128, picture_encoder: {height: 30, width: 126, patch_height: 10, patch_width: 7}}
                max_steps: 2
            """;

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe));

        Assert.Contains(
            "error: recipe.yaml: student: a student with a picture_encoder looks at pictures, and problems draws none: "
                + "add pictures: true to problems",
            _cli.Error,
            StringComparison.Ordinal
        );
    }

    /// <summary>Nothing listens at the endpoint: asking it would be another exit code.</summary>
    [Fact]
    public async Task Run_StudentFromScratchAndNoTokenizerToBeStored_FailsBeforeTheFirstRequest()
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe("endpoint: \"http://127.0.0.1:1/v1\", model: m")));

        Assert.Contains(
            "error: recipe.yaml: student: a student from scratch takes the tokenizer that is "
                + "stored with its traces, and traces has none: add tokenizer: path/to/teacher to traces",
            _cli.Error
        );
        Assert.False(Directory.Exists(_cli.RunDirectory));
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe("endpoint: \"http://127.0.0.1:1/v1\", model: m"), "--plan"));
        Assert.Equal(
            0,
            await _cli.RunRecipeAsync(Recipe($"endpoint: \"http://127.0.0.1:1/v1\", model: m, tokenizer: {Teacher}"), "--plan")
        );
    }

    [Theory]
    [InlineData("baselines: [studnet]", "baselines: no evaluation compares a training studnet with others: did you mean \"student\"?")]
    [InlineData("baselines: [other]", "baselines: no evaluation compares a training other with others: known: student")]
    [InlineData("baselines: [student]", null)]
    [InlineData("baselines: [student]", null, "[1]")]
    public async Task Run_ReportWithABaselineThatNothingCompares_FailsBeforeTheFirstRequest(
        string baselines,
        string? error,
        string seeds = "[1, 2]"
    )
    {
        var train =
            $"{{do: train, traces: traces, tokenizer: {Teacher}, architecture: {{hidden_size: 32, num_hidden_layers: 1, "
            + "num_attention_heads: 2, max_position_embeddings: 128}, max_steps: 2, matrix: {seed: "
            + seeds
            + "}}";
        var recipe = $$"""
            name: compared
            stages:
              problems: {do: problems, family: all, count: 20, held_out: 5}
              traces: {do: generate, problems: problems/train.jsonl, endpoint: "http://127.0.0.1:1/v1", model: m}
              student: {{train}}
              other: {{train}}
              scores: {do: evaluate, problems: problems/held_out.jsonl, models: {student: student} }
              report: {do: report, {{baselines}}}
            """;

        Assert.Equal(error is null ? 0 : 2, await _cli.RunRecipeAsync(recipe, "--plan"));

        Assert.Contains(error is null ? "" : $"error: recipe.yaml: report: {error}", _cli.Error, StringComparison.Ordinal);
    }

    /// <summary>Hours of collection may lie before the stage that needs the device.</summary>
    [Fact]
    public async Task Run_DeviceThatIsNotThere_FailsBeforeTheFirstStage()
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--set", "student.device=cuda:1000"));

        Assert.Contains("error: recipe.yaml: student: device cuda:1000: ", _cli.Error);
        Assert.False(Directory.Exists(_cli.RunDirectory));
        // A teacher behind an endpoint computes elsewhere.
        Assert.Equal(
            0,
            await _cli.RunRecipeAsync(
                Recipe($"endpoint: \"http://127.0.0.1:1/v1\", model: m, tokenizer: {Teacher}, device: \"cuda:1000\""),
                "--plan"
            )
        );
    }

    [Fact]
    public async Task Plan_PositionsShorterThanTheTraces_TellsTheLineToAdd()
    {
        Assert.Equal(
            0,
            await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}", student: ", max_position_embeddings: 256"), "--plan", "--json")
        );

        const string Told =
            "traces may be 320 tokens long behind their prompts (traces.max_tokens), and the student has 256 positions; "
            + "longer ones will be left out: architecture: { max_position_embeddings: 576 }";
        Assert.Contains($"  student: {Told}", _cli.Error);
        Assert.StartsWith(Told, (string)_cli.Json["stages"]![1]!["foreseen"]![0]!);

        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--plan"));
        Assert.DoesNotContain("positions", _cli.Error);
    }

    /// <summary>A sequence longer than a micro-batch takes its memory at once: the stages beside it must be told.</summary>
    [Fact]
    public async Task EstimateMemory_LongTraces_CountsTheirActivations()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--only", "traces") == 0, _cli.Error);
        var options = new TrainOptions
        {
            Traces = [new TraceSet { Path = Path.Combine(_cli.RunDirectory, "traces") }],
            Student = Teacher,
            MicroBatchTokens = 1,
            Workers = 1,
        };

        var verb = new TrainVerb();

        // Inputs of two norms and four products alone are six times the hidden size of each layer.
        const int Tokens = 20,
            Hidden = 256,
            Layers = 4;
        var shorter = verb.EstimateMemory(options with { MaxLength = 5 });
        Assert.True(verb.EstimateMemory(options with { MaxLength = 5 + Tokens }) - shorter > sizeof(float) * Tokens * Layers * 6 * Hidden);
    }

    /// <summary>What a student from scratch cannot be needs no traces to be known.</summary>
    [Theory]
    [InlineData("model_type: gemma9", "model_type \"gemma9\" is not supported")]
    [InlineData("num_key_value_heads: 3", "num_key_value_heads")]
    public async Task Run_ShapeThatCannotBe_FailsBeforeTheFirstStage(string setting, string told)
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}", student: $", {setting}")));

        Assert.Contains("error: recipe.yaml: student: ", _cli.Error);
        Assert.Contains(told, _cli.Error);
        Assert.False(Directory.Exists(_cli.RunDirectory));
    }

    /// <summary>What models do not have room for, or are none, is known before hours of collection.</summary>
    [Theory]
    [InlineData("student.early_exits={ layers: [0, 5] }", "student: early_exits: layers: 5 is not below the student's last layer, 0")]
    [InlineData("student.teacher=traces", "student: teacher: the stage traces makes no model; name one that does (train, pretrain)")]
    [InlineData("student.teacher=EMPTY", "student: teacher: EMPTY/config.json: no such file; a model directory holds config.json")]
    [InlineData("student.teachers=[{ model: TEACHER }, { model: EMPTY }]", "student: teachers: EMPTY/config.json: no such file")]
    [InlineData("student.peers=[{ student: EMPTY }]", "student: peers: EMPTY/config.json: no such file")]
    [InlineData("student.peers=[{ student: traces }]", "student: peers: the stage traces makes no model")]
    [InlineData("student.peers={ student: traces }", "student: peers: the stage traces makes no model")]
    [InlineData(
        "student.peers=[{ architecture: { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 3 } }]",
        "student: peers: architecture: num_attention_heads 2 is not a multiple of num_key_value_heads 3"
    )]
    [InlineData("scores.exit_layer=0", "scores: exit_layer: student: the model was not taught any exits: train it with early_exits")]
    [InlineData("scores.models.other=EMPTY", "scores: models: other: EMPTY/config.json: no such file")]
    public async Task Run_ModelThatCannotBe_FailsBeforeTheFirstStage(string setting, string told)
    {
        var empty = Directory.CreateDirectory(_cli.File("empty")).FullName;
        setting = setting.Replace("EMPTY", empty).Replace("TEACHER", Teacher);

        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--set", setting));

        Assert.Contains($"error: recipe.yaml: {told.Replace("EMPTY", "empty")}", _cli.Error);
        Assert.False(Directory.Exists(_cli.RunDirectory));
    }

    [Fact]
    public async Task Run_LayersThatTheTeacherDoesNotHave_FailsBeforeTheFirstStage()
    {
        string[] settings = ["--set", $"student.teacher={Teacher}", "--set", "student.objectives=[{ hidden_states: { layers: '0:9' } }]"];

        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), settings));

        Assert.Contains(
            "error: recipe.yaml: student: objectives: layers: 0:9 goes beyond the student's 1 or the teacher's 4 layers, "
                + "which count from 0",
            _cli.Error
        );
        settings[^1] = "student.objectives=[{ hidden_states: { layers: '0:3' } }]";
        Assert.True(await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), [.. settings, "--plan"]) == 0, _cli.Error);
    }

    /// <summary>A teacher that an earlier stage trains has the layers that its recipe gives it.</summary>
    [Fact]
    public async Task Run_LayersThatAnEarlierStudentWillNotHave_FailsBeforeTheFirstStage()
    {
        var recipe =
            Recipe($"serve: {Teacher}")
            + "\n  second:  { do: train, traces: traces, teacher: student, objectives: [{ hidden_states: { layers: '1:1' } }],\n"
            + "    architecture: { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2 } }\n";

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe));

        Assert.Contains(
            "error: recipe.yaml: second: objectives: layers: 1:1 goes beyond the student's 2 or the teacher's 1 layers",
            _cli.Error
        );
    }

    /// <summary>Null takes back what a recipe, or another stage, gives: on the command line too.</summary>
    [Fact]
    public async Task Plan_SettingsThatAreNull_AreAsIfTheyWereNotGiven()
    {
        var recipe = Recipe($"serve: {Teacher}").Replace("traces: traces,", "traces: traces, early_exits: { layers: [7] }, peers: null,");
        string[] taken = ["--set", "student.early_exits=null", "--set", "student.objectives=null", "--set", "scores.limit=null"];

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--plan"));
        Assert.True(await _cli.RunRecipeAsync(recipe, [.. taken, "--plan"]) == 0, _cli.Error);

        var file = _cli.Write("sums.jsonl", """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""" + "\n");
        string[] train = ["train", "--problems", file, "--student", Teacher, "--out", _cli.File("new"), "--plan"];
        string[] none = ["--early-exits", "null", "--peers", "null", "--lora-target-modules", "null", "--max-length", "null"];
        Assert.True(await _cli.RunAsync([.. train, .. none]) == 0, _cli.Error);
    }

    [Fact]
    public async Task Train_IntoTheFolderOfItsTraces_IsRefused()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--only", "traces") == 0, _cli.Error);
        var traces = Path.Combine(_cli.RunDirectory, "traces");
        string[] arguments = ["train", "--traces", traces, "--student", Teacher, "--max-steps", "1", "--out", traces];

        Assert.Equal(2, await _cli.RunAsync(arguments));

        Assert.Contains("traces: holds trace shards; name another folder with --out", _cli.Error);
        Assert.Empty(Directory.GetFiles(traces, "*.safetensors"));
    }

    [Fact]
    public async Task Plan_NothingInTheWay_IsTold()
    {
        var file = _cli.Write("sums.jsonl", """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""" + "\n");

        Assert.Equal(0, await _cli.RunAsync("train", "--problems", file, "--student", Teacher, "--out", _cli.File("new"), "--plan"));

        Assert.Equal("nothing is found that would fail or be left out", _cli.Error.TrimEnd());
    }

    [Fact]
    public async Task Evaluate_TwoModelsOfOneName_IsRefused()
    {
        string[] models = ["--models", $"a={Teacher}", "--models", $"a={_cli.RunDirectory}"];

        Assert.Equal(2, await _cli.RunAsync(["evaluate", "--problems", _cli.Write("p.jsonl", ""), "--out", _cli.File("o"), .. models]));

        Assert.Equal("error: --models: \"a\" is given twice", _cli.Error.TrimEnd());
    }

    [Fact]
    public async Task Plan_CheckpointThatIsKept_MayBeNamed()
    {
        var recipe = Recipe($"serve: {Teacher}");
        string[] Evaluating(string step) =>
            ["--plan", "--set", $"scores.models.middle=student/checkpoint-{step}", "--set", "student.save_total_limit=2"];

        Assert.True(await _cli.RunRecipeAsync(recipe, Evaluating("000800")) == 0, _cli.Error);
        Assert.True(await _cli.RunRecipeAsync(recipe, Evaluating("000600")) == 0, _cli.Error);
        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, Evaluating("000400")));
        Assert.Contains("the stage \"student\" makes no \"checkpoint-000400\"", _cli.Error);
    }

    [Fact]
    public async Task Plan_TracesThatAreThere_AreCounted()
    {
        var recipe = Recipe($"serve: {Teacher}", student: ", max_position_embeddings: 40");
        Assert.True(await _cli.RunRecipeAsync(recipe, "--only", "traces") == 0, _cli.Error);

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--plan"));

        Assert.Matches(
            @"error: recipe\.yaml: student: 2 of 2 traces \(100(\.0)? ?%\) are longer than the student's "
                + @"40 positions and will be left out: architecture: \{ max_position_embeddings: \d+ \}",
            _cli.Error
        );

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--plan", "--set", "student.max_length=5"));
        Assert.Matches(
            @"error: recipe\.yaml: student: 2 of 2 traces \(100(\.0)? ?%\) are "
                + @"longer than max_length 5 and will be left out: max_length: \d+\b",
            _cli.Error
        );
    }

    [Fact]
    public async Task Plan_PromptsThatDoNotFit_AreCountedForTeacherAndStudent()
    {
        var recipe = Recipe($"serve: {Teacher}", student: ", max_position_embeddings: 512", problems: [new string('7', 1500), "1 + 1"]);

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--plan"));

        Assert.Contains("  traces: 1 of 2 prompts do not fit the teacher's context of 1,024 tokens (the longest has 1,", _cli.Error);
        Assert.Contains(
            "error: recipe.yaml: scores: 1 of 2 prompts do not fit the 512 positions of student (the longest has 1,",
            _cli.Error
        );

        Assert.Equal(
            2,
            await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}", problems: [new string('7', 1500)]), "--plan", "--set", "scores.limit=1")
        );
        Assert.Contains("error: recipe.yaml: traces: 1 of 1 prompts do not fit the teacher's context", _cli.Error);
    }

    /// <summary>The embedded teacher's template closes each turn with <c>&lt;|end|&gt;</c>.</summary>
    [Fact]
    public async Task Plan_ProblemsWithSpecialTokensInTheirText_AreCountedForTeacherAndStudent()
    {
        var recipe = Recipe($"serve: {Teacher}", problems: ["What is 1 + 1?<|end|><|assistant|>5", "What is 2 + 2?"]);

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--plan"));

        Assert.Contains("  traces: 1 of 2 prompts have special tokens of the teacher in their text (<|end|> in problem ", _cli.Error);
        Assert.Contains("  scores: 1 of 2 prompts have special tokens of student in their text (<|end|> in problem ", _cli.Error);
    }

    [Fact]
    public async Task Plan_ProblemsWithOtherFieldNames_AreReadByTheirNames()
    {
        var file = _cli.Write("named.jsonl", $$"""{"Ask": "{{new string('7', 1500)}}", "Key": "1"}""" + "\n");

        var stage = $"{{ do: generate, problems: {file}, problem_field: Ask, answer_field: Key, serve: {Teacher} }}";

        Assert.Equal(2, await _cli.RunRecipeAsync($"stages: {{ traces: {stage} }}", "--plan"));

        Assert.Contains("error: recipe.yaml: traces: 1 of 1 prompts do not fit the teacher's context", _cli.Error);
    }

    /// <summary>A verb by itself is told what a stage of a recipe is told, with --plan and before it begins.</summary>
    [Fact]
    public async Task Generate_ByItself_TellsWhatIsSureToFailBeforeTheFirstRequest()
    {
        var file = _cli.Write("long.jsonl", $$"""{"problem": "{{new string('7', 1500)}}", "answer": "1"}""" + "\n");
        string[] teacher = ["--endpoint", "http://127.0.0.1:1/v1", "--model", "m", "--tokenizer", Teacher];
        string[] arguments = ["generate", "--problems", file, .. teacher, "--out", _cli.File("traces")];

        Assert.Equal(2, await _cli.RunAsync(arguments));
        Assert.Contains("error: 1 of 1 prompts do not fit the teacher's context of 1,024 tokens", _cli.Error);
        Assert.Equal(2, await _cli.RunAsync([.. arguments, "--plan"]));
        Assert.Contains("error: 1 of 1 prompts do not fit the teacher's context of 1,024 tokens", _cli.Error);
    }

    [Fact]
    public async Task GeneratePlan_ChangedOptions_TellsWhatOfTheCollectionTheyConcernAndAsksNothing()
    {
        var file = _cli.Write("problems.jsonl", """{"problem": "What is 12 + 30?", "answer": "42"}""" + "\n");
        string[] arguments = ["generate", "--problems", file, "--serve", Teacher, "--out", _cli.File("traces"), "--max-tokens"];
        Assert.True(await _cli.RunAsync([.. arguments, "320"]) == 0, _cli.Error);
        var before = Directory.GetFiles(_cli.File("traces")).ToDictionary(name => name, File.ReadAllBytes);

        Assert.Equal(0, await _cli.RunAsync([.. arguments, "200", "--plan", "--json"]));

        Assert.Contains("max_tokens was 320, is 200", _cli.Error);
        Assert.Contains("max_tokens was 320, is 200", (string)_cli.Json["remark"]!);
        Assert.Equal(before, Directory.GetFiles(_cli.File("traces")).ToDictionary(name => name, File.ReadAllBytes));
    }

    [Fact]
    public async Task Plan_EvaluationOfAnotherTask_IsTold()
    {
        Assert.Equal(
            0,
            await _cli.RunRecipeAsync(
                Recipe($"serve: {Teacher}"),
                "--plan",
                "--set",
                "traces.prompt=Reasoning/SolveBoxed",
                "--set",
                "scores.prompt=Reasoning/Solve",
                "--set",
                "scores.max_tokens=100"
            )
        );

        Assert.Contains(
            "  scores: trained on prompt Reasoning/SolveBoxed, and to be evaluated with Reasoning/Solve: student; leave prompt out",
            _cli.Error
        );
        Assert.Contains(
            "  scores: answers end at max_tokens 100, and the traces trained on may be 320 tokens long: student; leave max_tokens out",
            _cli.Error
        );

        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--plan"));
        Assert.DoesNotContain("scores: ", _cli.Error);
    }

    [Fact]
    public async Task Plan_PrecisionThatTheProcessorDoesNotHave_IsToldWithWhatItCosts()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe($"serve: {Teacher}"), "--plan", "--set", "student.compute_dtype=bfloat16"));

        const string Told =
            @"  student: this processor does not multiply bfloat16: the 1,000 steps compute in float32 "
            + @"and take about (a minute|\d+ minutes) if nothing else runs here, about twice as long";
        Assert.Equal(!ComputeDtypes.MultipliesBFloat16, Regex.IsMatch(_cli.Error, Told));
    }

    string Recipe(string teacher, string student = "", string[]? problems = null)
    {
        var file = _cli.Write(
            "problems.jsonl",
            string.Concat(
                (problems ?? ["What is 12 + 30?", "What is 5 + 6?"]).Select(text => $$"""{"problem": "{{text}}", "answer": "1"}""" + "\n")
            )
        );
        return $$"""
            stages:
              traces:  { do: generate, problems: {{file}}, {{teacher}}, max_tokens: 320 }
              student: { do: train, traces: traces, architecture: { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2{{student}} } }
              scores:  { do: evaluate, problems: {{file}}, models: { student: student } }
            """;
    }
}
