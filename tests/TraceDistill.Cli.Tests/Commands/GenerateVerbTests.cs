using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Shards;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class GenerateVerbTests : IDisposable
{
    // Delays between attempts are skipped, attempts' timeouts are not.
    readonly CliHarness _cli = new() { Stages = [new GenerateVerb(), new JoinVerb()], Time = new VirtualTime(TimeSpan.FromSeconds(60)) };

    public GenerateVerbTests() => WriteProblems(6);

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Run_TracesMissing_ExitsWith3AndStartsNoLaterStage()
    {
        var isFailing = true;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                isFailing && request.Contains("What is 3 + 2?", StringComparison.Ordinal)
                    ? Replies.Status(500)(context, request)
                    : Replies.Sum(context, request)
        );
        var recipe = Recipe(server.Url);

        Assert.Equal(3, await _cli.RunRecipeAsync(recipe));

        Assert.Contains("error: recipe.yaml: traces: 1 of 6 traces is missing: p3: ", _cli.Error);
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, "traces")));
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, "joined")));

        isFailing = false;
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json"));
        Assert.Equal("resumed", (string)_cli.Json["stages"]![0]!["outcome"]!);
        Assert.Equal(1, (int)_cli.Json["stages"]![0]!["summary"]!["collected"]!);
        Assert.True(Directory.Exists(Path.Combine(_cli.RunDirectory, "joined")));
    }

    [Fact]
    public async Task Run_OptionChanged_IsToldByThePlanAndRefusedUntilDiscarded()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        var recipe = Recipe(server.Url);
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe));
        var (asked, before) = (server.Requests.Count, Manifest());
        string[] change = ["--set", "traces.max_tokens=40"];

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, ["--plan", .. change]));
        Assert.Contains(
            "changed  (holds 6 traces of other options: max_tokens was 100, is 40; "
                + "--discard discards them, and 6 traces will be asked for again",
            _cli.Error
        );
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, ["--plan", "--discard", .. change]));
        Assert.Contains("6 traces will be asked for again)", _cli.Error);

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, change));
        Assert.Contains("error: recipe.yaml: traces: holds 6 traces of other options: max_tokens was 100, is 40;", _cli.Error);
        Assert.Equal((asked, before), (server.Requests.Count, Manifest()));
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, ".traces.partial")));

        // Put back, nothing has happened; discarded, all of it is asked for again.
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json"));
        Assert.Equal("unchanged", (string)_cli.Json["stages"]![0]!["outcome"]!);
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, ["--discard", "--json", .. change]));
        Assert.Equal(6, (int)_cli.Json["stages"]![0]!["summary"]!["collected"]!);
    }

    [Fact]
    public async Task Run_OptionChangedInUnfinishedStage_KeepsItsJournal()
    {
        var isFailing = true;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                isFailing && request.Contains("What is 3 + 2?", StringComparison.Ordinal)
                    ? Replies.Error(400, "no")(context, request)
                    : Replies.Sum(context, request)
        );
        var recipe = Recipe(server.Url);
        Assert.Equal(3, await _cli.RunRecipeAsync(recipe));
        isFailing = false;

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--set", "traces.max_tokens=40"));
        Assert.Contains("holds 5 traces of other options: max_tokens was 100, is 40;", _cli.Error);

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json", "--set", "traces.concurrency=2"));
        Assert.Equal(1, (int)_cli.Json["stages"]![0]!["summary"]!["collected"]!);
    }

    [Fact]
    public async Task Run_StageThatOnlyGrows_KeepsItsTraces()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        var recipe = Recipe(server.Url);
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe));
        WriteProblems(8);

        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--plan", "--set", "traces.samples_per_problem=2"));
        Assert.Contains("changed  (6 of 16 traces are there)", _cli.Error);
        Assert.Equal(0, await _cli.RunRecipeAsync(recipe, "--json", "--set", "traces.samples_per_problem=2"));

        Assert.Equal(
            (16, 10),
            ((int)_cli.Json["stages"]![0]!["summary"]!["count"]!, (int)_cli.Json["stages"]![0]!["summary"]!["collected"]!)
        );
    }

    void WriteProblems(int count) =>
        _cli.Write(
            "problems.jsonl",
            string.Concat(
                Enumerable.Range(0, count).Select(i => $$"""{"id":"p{{i}}","problem":"What is {{i}} + 2?","answer":"{{i + 2}}"}""" + "\n")
            )
        );

    string Recipe(string url) =>
        $$"""
            stages:
              traces: { do: generate, problems: {{_cli.File(
                "problems.jsonl"
            )}}, endpoint: "{{url}}", model: teacher, top_logprobs: 3, max_tokens: 100, concurrency: 4 }
              joined: { do: join, first: traces/manifest.json }
            """;

    string Manifest() => File.ReadAllText(Path.Combine(_cli.RunDirectory, "traces", ShardManifest.FileName));
}
