using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class ProblemsVerbTests : IDisposable
{
    readonly CliHarness _cli = new() { Stages = [new ProblemsVerb()] };

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Problems_IntoAFile_WritesThatFileAndTheHeldOutOnesBeside()
    {
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "problems",
                "--family",
                "addition,sorting",
                "--count",
                "6",
                "--held-out",
                "4",
                "--seed",
                "3",
                "--out",
                _cli.File("x.jsonl"),
                "--json"
            )
        );

        var (train, heldOut) = (await ReadAsync("x.jsonl"), await ReadAsync("x.held_out.jsonl"));
        Assert.Equal(6, train.Count);
        Assert.Equal(4, heldOut.Count);
        Assert.Equal(["addition", "sorting"], train.Select(problem => problem.Family).Distinct());
        Assert.Empty(train.Select(problem => problem.Id).Intersect(heldOut.Select(problem => problem.Id)));
        Assert.Equal(3, (int)_cli.Json["sets"]![0]!["families"]!["addition"]!);
    }

    [Fact]
    public async Task Problems_WithPictures_DrawsEachTextIntoAFolderBeside()
    {
        string[] command = ["problems", "--family", "addition", "--count", "5", "--held-out", "2", "--seed", "3", "--pictures"];

        Assert.Equal(0, await _cli.RunAsync([.. command, "true", "--out", _cli.File("x.jsonl")]));
        Assert.Equal(0, await _cli.RunAsync([.. command, "{ noise: 0 }", "--out", _cli.File("folder")]));

        List<Problem> files = [.. await ReadAsync("x.jsonl"), .. await ReadAsync("x.held_out.jsonl")];
        Assert.All(files, problem => Assert.Equal(_cli.File("x.pictures"), Path.GetDirectoryName(problem.Picture)));
        var stage = await ReadAsync("folder/train.parquet");
        Assert.Equal(await ReadAsync("folder/train.jsonl"), stage);
        Assert.Equal(files.Take(5).Select(problem => problem.Text), stage.Select(problem => problem.Text));
        Assert.All(stage, problem => Assert.Equal(
                new TextDrawing { Noise = 0 }
                    .Draw(problem.Text, problem.Id, 3)
                    .Pixels,
                PictureFile.Read(problem.Picture!, 1, 30, 126).Pixels
            ));
    }

    [Fact]
    public async Task Problems_TextThatFitsNoPicture_IsRefused()
    {
        Assert.Equal(
            2,
            await _cli.RunAsync("problems", "--family", "story4", "--count", "20", "--pictures", "true", "--out", _cli.File("x.jsonl"))
        );

        Assert.Contains("and a picture has 30 × 126: raise height to", _cli.Error, StringComparison.Ordinal);
        Assert.Single(_cli.Error.Trim().Split('\n'));
    }

    [Fact]
    public async Task Problems_HeldOutFlagAlone_MakesAllOfThemHeldOut()
    {
        await _cli.RunAsync("problems", "--count", "5", "--out", _cli.File("held.jsonl"), "--held-out");
        await _cli.RunAsync("problems", "--count", "1", "--held-out", "5", "--out", _cli.File("x.jsonl"));

        Assert.Equal(await ReadAsync("x.held_out.jsonl"), await ReadAsync("held.jsonl"));
    }

    [Fact]
    public async Task Problems_AsStage_WritesBothFormatsAndTakesTheRecipesSeed()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync("{ seed: 9, stages: { p: { do: problems, count: 12, held_out: 3 } } }"));

        Assert.Equal(await ReadAsync("run/p/train.jsonl"), await ReadAsync("run/p/train.parquet"));
        Assert.Equal(ProblemGenerator.Generate(["all"], 3, 9, ProblemSplit.HeldOut), await ReadAsync("run/p/held_out.jsonl"));
    }

    [Fact]
    public async Task Problems_FilesToConvert_KeepTheirNamesInTheStage()
    {
        var gsm8k = TestPaths.SharedData("gsm8k");

        Assert.Equal(
            0,
            await _cli.RunRecipeAsync($"stages: {{ p: {{ do: problems, from: [{gsm8k}/train.jsonl, {gsm8k}/test.jsonl], count: 20 }} }}")
        );

        Assert.Equal("72", (await ReadAsync("run/p/train.jsonl"))[0].Answer);
        Assert.Equal(20, (await ReadAsync("run/p/test.parquet")).Count);
    }

    [Theory]
    [InlineData(
        "{ do: problems }",
        "recipe.yaml:1:14: p.count: is required: say how many problems to generate, or name the files to convert (from)"
    )]
    [InlineData(
        "{ do: problems, count: 5, held_out: some }",
        "recipe.yaml:1:50: p.held_out: expected how many held-out problems, or true for all of them, found \"some\""
    )]
    [InlineData(
        "{ do: problems, count: 5, family: [addition, additoin] }",
        "recipe.yaml:1:48: p.family: unknown family \"additoin\"; did you mean \"addition\"?"
    )]
    [InlineData("{ do: problems, count: 0 }", "recipe.yaml:1:37: p.count: must be at least 1")]
    public async Task Problems_WrongOptions_NameThePlace(string stage, string message)
    {
        Assert.Equal(2, await _cli.RunRecipeAsync($"stages: {{ p: {stage} }}"));

        Assert.Equal($"error: {message}", _cli.Error.Trim());
    }

    [Fact]
    public async Task Problems_FilesOfOneNameInTwoFolders_AreToldApartByTheFolder()
    {
        foreach (var folder in new[] { "one", "two" })
        {
            Directory.CreateDirectory(_cli.File(folder));
            File.WriteAllText(_cli.File($"{folder}/set.jsonl"), $$"""{"Ask": "{{folder}}?", "Gold": 0.50}""" + "\n");
        }

        File.WriteAllText(_cli.File("other.json"), """[{"Ask": "other?", "Gold": null}]""");
        Assert.Equal(
            0,
            await _cli.RunRecipeAsync(
                $"stages: {{ p: {{ do: problems, from: [{_cli.File("one/set.jsonl")}, {_cli.File("two/set.jsonl")}, "
                    + $"{_cli.File("other.json")}], problem_field: Ask, answer_field: Gold }} }}"
            )
        );

        Assert.Equal(("one?", "0.50"), (await ReadAsync("run/p/one-set.jsonl")) is [var one] ? (one.Text, one.Answer) : default);
        Assert.Equal("two?", (await ReadAsync("run/p/two-set.parquet")).Single().Text);
        Assert.Equal("", (await ReadAsync("run/p/other.jsonl")).Single().Answer);
        Assert.Contains("none of 1 problems have an answer", _cli.Error);
    }

    [Fact]
    public async Task Problems_FamilyOfFilesToConvert_IsRefused()
    {
        var file = _cli.Write("set.jsonl", """{"problem": "1+1?", "answer": "2"}""" + "\n");

        Assert.Equal(2, await _cli.RunAsync("problems", "--from", file, "--family", "all", "--out", _cli.File("out")));

        Assert.Equal("error: --family: is for generated problems; files that are converted keep what they hold", _cli.Error.Trim());
    }

    [Fact]
    public async Task Help_OfProblems_NamesEveryFamily()
    {
        Assert.Equal(0, await _cli.RunAsync("problems", "--help"));

        Assert.All(ProblemGenerator.FamilyNames, name => Assert.Contains(name, _cli.Out));
    }

    async Task<List<Problem>> ReadAsync(string file) =>
        await ProblemReader.ReadAsync(_cli.File(file)).ToListAsync(TestContext.Current.CancellationToken);
}
