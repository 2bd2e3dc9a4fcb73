using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Shards;
using TraceDistill.Evaluation;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

/// <summary>The main job in miniature: an untrained model teaches a smaller one.</summary>
public sealed class MainJobTests : IDisposable
{
    readonly CliHarness _cli = new()
    {
        Stages = [new ProblemsVerb(), new PretrainVerb(), new GenerateVerb(), new TrainVerb(), new EvaluateVerb(), new ReportVerb()],
        Others = [new InspectVerb()],
        Clock = TimeProvider.System,
    };

    static string Recipe => MiniatureRecipe.Yaml;

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Run_WholeMainJob_LeavesSummaryAndCanBeInspected()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe, "--json") == 0, _cli.Error);
        var traces = Path.Combine(_cli.RunDirectory, "traces");
        var models = System.Text.Json.Nodes.JsonNode.Parse(_cli.Read("summary.json"))!["models"]!.AsObject();
        Assert.Equal(["teacher", "student", "baseline", "untrained"], models.Select(model => model.Key));

        Assert.True(await _cli.RunRecipeAsync(Recipe, "--json") == 0, _cli.Error);
        Assert.All(_cli.Json["stages"]!.AsArray(), stage => Assert.Equal("unchanged", (string)stage!["outcome"]!));

        Assert.Equal(0, await _cli.RunAsync("inspect", traces, "--json"));
        Assert.Equal(6, (int)_cli.Json["statistics"]!["count"]!);
        Assert.Equal(5, (int)_cli.Json["dataset"]!["top_k"]!);
        Assert.Contains("soft_targets", _cli.Json["columns"]!.AsObject().Select(column => column.Key));
        Assert.Equal(
            ["string", "double", "list<int32>", "list<struct<role: string, content: string>>"],
            new[] { "answer", "temperature", "token_ids", "messages" }.Select(column => (string)_cli.Json["columns"]![column]!)
        );
        var id = (string)_cli.Json["first_traces"]![0]!;

        Assert.Equal(0, await _cli.RunAsync("inspect", traces, "--trace", id[..12], "--json"));
        var token = _cli.Json["tokens"]![0]!;
        Assert.Equal(5, token["top"]!.AsArray().Count);
        Assert.NotNull((string?)token["text"]);
        await CompareWithShard(traces, id);

        Assert.Equal(0, await _cli.RunAsync("inspect", traces, "--trace", id, "--rendered", "--json"));
        await CompareWithTraining(traces, id);

        // A student with another vocabulary is shown the same text in its own tokens.
        var other = Directory.CreateDirectory(_cli.File("other")).FullName;
        BpeTrainer.Train(["What is two and two?"], 262, [new("<|stop|>")], other);
        File.WriteAllText(
            Path.Combine(other, "tokenizer_config.json"),
            """{"eos_token": "<|stop|>", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}{{ '' }}"}"""
        );
        Assert.True(await _cli.RunAsync("inspect", traces, "--trace", id, "--rendered", "--tokenizer", other, "--json") == 0, _cli.Error);
        Assert.All(_cli.Json["tokens"]!.AsArray(), shown => Assert.InRange((int)shown!["id"]!, 0, 261));
        Assert.EndsWith("<|stop|>", (string)_cli.Json["text"]!, StringComparison.Ordinal);

        Assert.Equal(2, await _cli.RunAsync("inspect", _cli.RunDirectory));
        Assert.Contains("name one of its data sets: run/traces", _cli.Error);

        Assert.Equal(2, await _cli.RunAsync("inspect", traces, "--trace", "nothing"));
        Assert.Contains("holds no trace nothing", _cli.Error);
    }

    [Fact]
    public async Task Run_MoreProblemsThanBefore_AsksTheTeacherForTheNewOnesAlone()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe, "--only", "problems,teacher,traces"));
        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe, "--only", "problems,teacher,traces", "--set", "traces.concurrency=2", "--json"));
        Assert.Equal("unchanged", (string)_cli.Json["stages"]![2]!["outcome"]!);

        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe, "--only", "problems,teacher,traces", "--set", "problems.count=8", "--json"));
        Assert.Equal((8, 2), Collected());

        // Another teacher under the same name: nothing of the old one may stay, and nothing of it goes without a word.
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe, "--only", "problems,teacher,traces", "--set", "teacher.max_steps=2"));
        Assert.Contains("give these traces up with --discard", _cli.Error);
        Assert.Equal(
            0,
            await _cli.RunRecipeAsync(Recipe, "--only", "problems,teacher,traces", "--set", "teacher.max_steps=2", "--discard", "--json")
        );
        Assert.Equal((6, 6), Collected());
    }

    /// <summary>The teacher, which was trained on no traces, is asked as its student is.</summary>
    [Fact]
    public async Task Evaluate_StudentOfAnotherPromptAndLength_IsAskedAsItWasTrainedUnlessTold()
    {
        var recipe = Recipe
            .Replace("prompt: Reasoning/Solve, max_tokens: 12", "prompt: Reasoning/SolveBoxed, max_tokens: 12")
            .Replace("max_tokens: 8, ", "");
        Assert.True(await _cli.RunRecipeAsync(recipe) == 0, _cli.Error);

        var asked = EvaluationResult.Read(Path.Combine(_cli.RunDirectory, "scores", EvaluationResult.FileName)).Models;
        Assert.All(["teacher", "student", "baseline", "untrained"], name =>
            Assert.Equal(("Reasoning/SolveBoxed", null, 12), (asked[name].Prompt, asked[name].TrainedOn, asked[name].MaxTokens))
        );
        Assert.Contains("Asked with Reasoning/SolveBoxed, at most 12 tokens an answer.", _cli.Read("report.html"));
        Assert.DoesNotContain("trained on prompt", _cli.Error);

        Assert.True(
            await _cli.RunRecipeAsync(recipe, "--set", "scores.prompt=Reasoning/Solve", "--set", "scores.max_tokens=8") == 0,
            _cli.Error
        );

        Assert.Contains("scores: student: trained on prompt Reasoning/SolveBoxed, evaluated with Reasoning/Solve", _cli.Error);
        Assert.Contains(
            "scores: student: its answers may have 8 tokens here (max_tokens), and the traces that it was trained on 12",
            _cli.Error
        );
        Assert.DoesNotContain("scores: teacher:  trained", _cli.Error);
        asked = EvaluationResult.Read(Path.Combine(_cli.RunDirectory, "scores", EvaluationResult.FileName)).Models;
        Assert.Equal(
            ("Reasoning/Solve", "Reasoning/SolveBoxed", 8),
            (asked["student"].Prompt, asked["student"].TrainedOn, asked["student"].MaxTokens)
        );
        Assert.Contains("student was trained on another prompt: Reasoning/SolveBoxed.", _cli.Read("report.html"));
    }

    /// <summary>What training takes for the hard loss alone, an evaluation has nothing to compare with.</summary>
    [Fact]
    public async Task Evaluate_TracesWithoutLogprobs_AreSkippedAndTold()
    {
        Assert.True(await _cli.RunRecipeAsync(Recipe, "--set", "traces.top_logprobs=0") == 0, _cli.Error);

        Assert.Contains("scores: traces: run/traces holds no soft targets, so no distributions are compared", _cli.Error);
        var scores = EvaluationResult.Read(Path.Combine(_cli.RunDirectory, "scores", EvaluationResult.FileName)).Models["student"];
        Assert.Equal((3, null), (scores.N, scores.Distribution));
    }

    (int Count, int Collected) Collected() =>
        _cli.Json["stages"]![2]!["summary"] is { } summary ? ((int)summary["count"]!, (int)summary["collected"]!) : default;

    /// <summary>The prompt's ids and the teacher's own, with the end it was cut off from; and the same text between marks.</summary>
    async Task CompareWithTraining(string traces, string id)
    {
        var reader = await ShardReader.OpenAsync(traces, cancellationToken: TestContext.Current.CancellationToken);
        var trace = await reader
            .ReadAsync(TestContext.Current.CancellationToken)
            .FirstAsync(trace => trace.Id == id, TestContext.Current.CancellationToken);
        var tokenizer = Tokenizer.Load(Path.Combine(traces, "tokenizer"));
        var shown = _cli.Json["tokens"]!.AsArray();

        Assert.Equal(trace.PromptTokenIds.Length, (int)_cli.Json["first_trained"]!);
        Assert.Equal(
            [
                .. trace.PromptTokenIds,
                .. trace.Logprobs!.TokenIds,
                .. trace.FinishReason == "length" ? [tokenizer.EndOfSequenceId!.Value] : Array.Empty<int>(),
            ],
            shown.Select(token => (int)token!["id"]!)
        );
        Assert.Equal(shown.Select((_, index) => index >= trace.PromptTokenIds.Length), shown.Select(token => (bool)token!["trained"]!));
        Assert.StartsWith($"<|user|>{trace.Messages[0].Content}<|end|>", (string)_cli.Json["text"]!);
        Assert.Contains($"{trace.Messages[0].Content}<|end|><|assistant|>⟦", _cli.Error);
        Assert.Contains($"⟦{shown.Count - trace.PromptTokenIds.Length} tokens that are trained on⟧", _cli.Error);
    }

    async Task CompareWithShard(string traces, string id)
    {
        var reader = await ShardReader.OpenAsync(traces, cancellationToken: TestContext.Current.CancellationToken);
        var trace = await reader
            .ReadAsync(TestContext.Current.CancellationToken)
            .FirstAsync(trace => trace.Id == id, TestContext.Current.CancellationToken);
        var shown = _cli.Json["tokens"]!.AsArray();
        Assert.Equal(trace.Logprobs!.TokenIds, shown.Select(token => (int)token!["id"]!));
        Assert.Equal(trace.Logprobs.TopIds, shown.SelectMany(token => token!["top"]!.AsArray().Select(other => (int)other!["id"]!)));
    }
}
