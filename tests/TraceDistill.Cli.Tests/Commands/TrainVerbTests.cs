using System.Text.Json;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Evaluation;
using TraceDistill.Models.Cpu;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class TrainVerbTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new() { Stages = [new TrainVerb(), new EvaluateVerb(), new ProblemsVerb()], Clock = TimeProvider.System };

    public void Dispose() => _cli.Dispose();

    [Theory]
    [InlineData("error: --lora-r: is required where another setting of adapters is given: their rank, such as 16", "--use-dora")]
    [InlineData(
        "error: --lora-target-modules: all-linear is all of them: leave out either it or the others",
        "--lora-r",
        "8",
        "--lora-target-modules",
        "q_proj,all-linear"
    )]
    [InlineData("error: --frozen-parameters: \"(\" is not a regular expression", "--frozen-parameters", "(")]
    public async Task Train_AdapterSettingsThatDoNotGoTogether_AreToldInOneLine(string message, params string[] settings)
    {
        Assert.Equal(
            2,
            await _cli.RunAsync([
                "train",
                "--problems",
                _cli.Write("problems.jsonl", ""),
                "--student",
                Teacher,
                "--max-steps",
                "5",
                "--out",
                _cli.File("out"),
                .. settings,
            ])
        );

        Assert.Equal(message, _cli.Error.TrimEnd());
        Assert.False(Path.Exists(_cli.File("out")));
    }

    [Fact]
    public async Task Train_PrecisionThatTheProcessorDoesNotHave_IsToldOnce()
    {
        const string Problem = """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""";
        string[] arguments =
        [
            "train",
            "--problems",
            _cli.Write("problems.jsonl", Problem + "\n"),
            "--tokenizer",
            Teacher,
            "--architecture",
            "{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }",
            "--max-steps",
            "1",
        ];

        Assert.True(await _cli.RunAsync([.. arguments, "--compute-dtype", "bfloat16", "--out", _cli.File("out")]) == 0, _cli.Error);

        Assert.Equal(ComputeDtypes.MultipliesBFloat16 ? 0 : 1, _cli.Error.Split("does not multiply bfloat16").Length - 1);
    }

    /// <summary>The last evaluation is of the model that is written, so <c>evaluate</c> finds the same answers.</summary>
    [Theory]
    [InlineData]
    [InlineData("--lora-r", "4")]
    public async Task Train_EvalProblems_AreAnsweredAsEvaluateHasThemAnswered(params string[] settings)
    {
        Assert.True(
            await _cli.RunAsync(
                "problems",
                "--family",
                "addition,sorting",
                "--count",
                "12",
                "--held-out",
                "true",
                "--out",
                _cli.File("asked")
            ) == 0,
            _cli.Error
        );
        var problems = Path.Combine(_cli.File("asked"), "held_out.jsonl");
        string[] arguments =
        [
            "train",
            "--problems",
            _cli.Write("problems.jsonl", """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""" + "\n"),
            "--student",
            Teacher,
            "--learning-rate",
            "1e-5",
            "--max-steps",
            "3",
            "--eval-problems",
            problems,
            "--eval-limit",
            "6",
            "--eval-steps",
            "2",
            "--eval-max-tokens",
            "200",
            "--load-best-model-at-end",
            "--out",
            _cli.File("out"),
            .. settings,
        ];

        Assert.True(await _cli.RunAsync(arguments) == 0, _cli.Error);
        var said = _cli.Error;
        Assert.True(
            await _cli.RunAsync(
                "evaluate",
                "--model",
                _cli.File("out"),
                "--problems",
                problems,
                "--limit",
                "6",
                "--max-tokens",
                "200",
                "--out",
                _cli.File("scores")
            ) == 0,
            _cli.Error
        );

        var evaluated = EvaluationResult.Read(Path.Combine(_cli.File("scores"), EvaluationResult.FileName)).Models["model"];
        string[] folders = [.. Directory.GetDirectories(Path.Combine(_cli.File("out"), "evaluations")).Order(StringComparer.Ordinal)];
        Assert.Equal(["step-000002", "step-000003"], folders.Select(Path.GetFileName));
        var results = folders
            .Select(folder => EvaluationResult.Read(Path.Combine(folder, EvaluationResult.FileName)).Models["student"])
            .ToList();
        Assert.InRange(evaluated.Accuracy, 0.1, 1); // the embedded teacher solves such problems
        Assert.Equal(results.Max(result => result.Accuracy), evaluated.Accuracy);
        var best = folders[results.FindIndex(result => result.Accuracy == evaluated.Accuracy)];
        Assert.Equal(Generations(Path.Combine(_cli.File("scores"), "model.jsonl")), Generations(Path.Combine(best, "student.jsonl")));
        Assert.Contains($"generated answers: {6 * results[1].Accuracy:0} of 6 correct", said, StringComparison.Ordinal);
        Assert.Empty(Directory.GetDirectories(_cli.File("out"), ".*"));
    }

    [Theory]
    [InlineData(
        "error: --metric-for-best-model: accuracy is of answers to eval_problems; name a file of problems there",
        "--metric-for-best-model",
        "accuracy"
    )]
    [InlineData("error: --eval-limit: goes with eval_problems", "--eval-limit", "5")]
    [InlineData(
        "error: --metric-for-best-model: kl is of held-out traces; give eval_traces (or eval_fraction), or take accuracy",
        "--metric-for-best-model",
        "kl",
        "--eval-problems",
        "problems.jsonl"
    )]
    public async Task Train_EvaluationThatCannotBe_IsToldInOneLine(string message, params string[] settings)
    {
        var problems = _cli.Write("problems.jsonl", "");
        string[] given = [.. settings.Select(setting => setting == "problems.jsonl" ? problems : setting)];

        Assert.Equal(
            2,
            await _cli.RunAsync([
                "train",
                "--problems",
                problems,
                "--student",
                Teacher,
                "--max-steps",
                "5",
                "--out",
                _cli.File("out"),
                .. given,
            ])
        );

        Assert.Equal(message, _cli.Error.TrimEnd());
    }

    [Fact]
    public async Task Train_EvalProblemsWithoutAnswers_AreRefusedBeforeAnythingIsTrained()
    {
        var problems = _cli.Write("problems.jsonl", """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""" + "\n");
        var asked = _cli.Write("asked.jsonl", """{"problem": "What is 1 + 1?"}""" + "\n");

        Assert.Equal(
            2,
            await _cli.RunAsync(
                "train",
                "--problems",
                problems,
                "--student",
                Teacher,
                "--max-steps",
                "5",
                "--eval-problems",
                asked,
                "--out",
                _cli.File("out")
            )
        );

        Assert.Contains("asked.jsonl: none of the 1 problems has an answer to measure by", _cli.Error, StringComparison.Ordinal);
    }

    /// <summary>Nothing was trained yet, so the folder is free for a student with more positions.</summary>
    [Fact]
    public async Task Train_EvalProblemLongerThanTheStudent_IsRefusedBeforeAnythingIsTrained()
    {
        var problems = _cli.Write("problems.jsonl", """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""" + "\n");
        var sum = string.Join(" + ", Enumerable.Repeat("1", 200));
        var asked = _cli.Write("asked.jsonl", $$"""{"problem": "{{sum}}?", "answer": "200"}""" + "\n");
        string[] arguments =
        [
            "train",
            "--problems",
            problems,
            "--tokenizer",
            Teacher,
            "--max-steps",
            "1",
            "--eval-problems",
            asked,
            "--eval-max-tokens",
            "2",
            "--out",
            _cli.File("out"),
            "--architecture",
        ];

        Assert.Equal(
            2,
            await _cli.RunAsync([
                .. arguments,
                "{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, max_position_embeddings: 128 }",
            ])
        );
        Assert.Matches(
            "asked.jsonl: the prompt of problem [0-9a-f]+ has [0-9]+ tokens, "
                + "and the student [0-9]+ positions: max_position_embeddings: [0-9]+ in a student",
            _cli.Error
        );

        string[] larger =
        [
            .. arguments,
            "{ hidden_size: 16, num_hidden_layers: 1, " + "num_attention_heads: 2, max_position_embeddings: 2048 }",
        ];
        Assert.True(await _cli.RunAsync(larger) == 0, _cli.Error);
    }

    static List<string> Generations(string file) =>
        [.. File.ReadLines(file).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("generation").GetString()!)];
}
