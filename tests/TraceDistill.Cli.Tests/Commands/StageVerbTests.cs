using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class StageVerbTests : IDisposable
{
    const string Pretraining = """
        name: tiny
        seed: 3
        stages:
          model: { do: pretrain, family: addition, architecture: { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 },
                   vocab_size: 300, max_steps: 3, batch_tokens: 200, logging_steps: 1, dtype: bfloat16, lr_scheduler_type: linear, learning_rate: 1e-3 }
          report: { do: report }
        """;

    readonly CliHarness _cli = new() { Stages = [new PretrainVerb(), new ReportVerb()], Others = [new InspectVerb()] };

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task PretrainAndReport_AsStages_LeaveModelMetricsAndReport()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Pretraining));

        Assert.All(["config.json", "model.safetensors", "tokenizer.json"], name =>
            Assert.True(File.Exists(Path.Combine(_cli.RunDirectory, "model", name)))
        );
        Assert.Equal(3, MetricsLog.Read(Path.Combine(_cli.RunDirectory, "metrics.jsonl")).Count());
        Assert.Single(Directory.GetFiles(Path.Combine(_cli.RunDirectory, "tensorboard", "model")));
        Assert.Contains("<html", _cli.Read("report.html"));
        Assert.Equal(_cli.Read("report/summary.json"), _cli.Read("summary.json"));
    }

    [Fact]
    public async Task Pretrain_ProblemsWithOtherFieldNames_LearnsThemByTheirNames()
    {
        var lines = Enumerable
            .Range(1, 20)
            .Select(i => $$"""{"Ask": "What is {{i}} + 1?", "Key": "{{i + 1}}", "Worked": "{{i}} and one"}""" + "\n");
        const string Shape = "{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }";
        string[] arguments =
        [
            "pretrain",
            "--problems",
            _cli.Write("problems.jsonl", string.Concat(lines)),
            "--architecture",
            Shape,
            "--vocab-size",
            "300",
            "--max-steps",
            "1",
        ];
        string[] named = ["--problem-field", "Ask", "--answer-field", "Key", "--solution-field", "Worked"];

        Assert.Equal(2, await _cli.RunAsync([.. arguments, "--out", _cli.File("unnamed")]));
        Assert.Contains(
            "problems.jsonl, line 1: none of the fields that usually hold a problem is there; it has Ask, Key, Worked; ",
            _cli.Error
        );

        Assert.True(await _cli.RunAsync([.. arguments, .. named, "--out", _cli.File("named")]) == 0, _cli.Error);
        Assert.True(File.Exists(_cli.File("named/model.safetensors")));
    }

    [Fact]
    public async Task Report_OfARunDirectory_WritesThere()
    {
        await _cli.RunRecipeAsync(Pretraining, "--only", "model");

        Assert.Equal(0, await _cli.RunAsync("report", _cli.RunDirectory, "--json"));

        Assert.True(_cli.Json["seconds"]!["total"] is not null);
        Assert.True(File.Exists(Path.Combine(_cli.RunDirectory, "report.html")));
    }

    [Fact]
    public async Task Inspect_ModelDirectory_TellsItsShape()
    {
        await _cli.RunRecipeAsync(Pretraining, "--only", "model");

        Assert.Equal(0, await _cli.RunAsync("inspect", Path.Combine(_cli.RunDirectory, "model"), "--json"));

        Assert.Equal(16, (int)_cli.Json["configuration"]!["hidden_size"]!);
        Assert.Equal(300, (int)_cli.Json["vocabulary_size"]!);
        Assert.Contains("1 layer of 16, 2 heads of 8", _cli.Error);

        Assert.Equal(0, await _cli.RunAsync("inspect", Path.Combine(_cli.RunDirectory, "model")));

        Assert.Contains("1 layer of 16, 2 heads of 8", _cli.Out);
        Assert.Equal("", _cli.Error);
    }

    [Theory]
    [InlineData("--rendered")]
    [InlineData("--trace=ab")]
    public async Task Inspect_TraceOfAModelDirectory_IsRefused(string option)
    {
        var model = Path.GetDirectoryName(_cli.Write("config.json", "{}"))!;

        Assert.Equal(2, await _cli.RunAsync("inspect", model, option));

        Assert.Contains("a model directory; --trace and --rendered show traces", _cli.Error);
    }

    [Fact]
    public async Task Report_WithoutARun_SaysWhatIsMissing()
    {
        Assert.Equal(2, await _cli.RunAsync("report"));

        Assert.Contains("error: RUN: is required", _cli.Error);
    }

    [Fact]
    public async Task Pretrain_SettingThatCannotBe_IsFoundBeforeAnythingRuns()
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Pretraining, "--set", "model.max_steps=0"));

        Assert.Contains("max_steps", _cli.Error);
        Assert.False(Directory.Exists(_cli.RunDirectory));
    }
}
