using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

public sealed class RunVerbTests : IDisposable
{
    const string Chain = """
        seed: 7
        stages:
          both: { do: join, first: a, parts: [b/text.txt], tag: "!" }
          a: { do: write, text: x }
          b: { do: write, like: a, text: y }
          all: { do: tell }
        """;

    readonly CliHarness _cli = new();

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Run_StagesThatReadEachOther_RunInOrderAndAreDescribed()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Chain, "--json"));

        Assert.Equal("x+y!", _cli.Read("both/joined.txt"));
        Assert.Equal("7", _cli.Read("a/more/seed.txt"));
        Assert.Equal("a b both", _cli.Read("told.txt"));
        Assert.Equal(["a", "b", "both", "all"], _cli.Json["stages"]!.AsArray().Select(stage => (string)stage!["stage"]!));
        Assert.Equal(1, (int)_cli.Json["stages"]![0]!["summary"]!["length"]!);
        var manifest = StageManifest.Read(Path.Combine(_cli.RunDirectory, "both"))!;
        Assert.Equal(["joined.txt"], manifest.Outputs.Select(file => file.Name));
        Assert.True(manifest.PeakMemoryBytes > 1_000_000);
    }

    [Fact]
    public async Task Run_SecondTime_ChangesNoFile()
    {
        await _cli.RunRecipeAsync(Chain);
        var before = Snapshot();
        _cli.Time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(0, await _cli.RunRecipeAsync(Chain, "--json"));

        Assert.Equal(before, Snapshot());
        Assert.All(_cli.Json["stages"]!.AsArray(), stage => Assert.Equal("unchanged", (string)stage!["outcome"]!));
    }

    [Fact]
    public async Task Run_OneOptionChanged_RepeatsThatStageAndWhatReadsIt()
    {
        await _cli.RunRecipeAsync(Chain);

        await _cli.RunRecipeAsync(Chain, "--set", "b.text=z", "--json");

        Assert.Equal("x+z!", _cli.Read("both/joined.txt"));
        Assert.Equal(["unchanged", "done", "done", "done"], Outcomes());
    }

    [Fact]
    public async Task Run_StageWhoseResultStaysTheSame_DoesNotRepeatItsReaders()
    {
        const string Recipe = "stages: { a: { do: write, text: x }, b: { do: join, first: a/text.txt } }";
        await _cli.RunRecipeAsync(Recipe);

        await _cli.RunRecipeAsync(Recipe, "--set", "a.seed=5", "--json");

        Assert.Equal(["done", "unchanged"], Outcomes());
    }

    /// <summary>Where something runs is no part of what comes out of it, within a list of maps either.</summary>
    [Theory]
    [InlineData("note: other", "unchanged")]
    [InlineData("weight: other", "done")]
    public async Task Run_OptionWithinAListOfMapsChanged_RepeatsTheStageWhereItDecides(string changed, string outcome)
    {
        const string Recipe = "stages: { a: { do: write, text: x }, b: { do: join, weighed: [{ path: a/text.txt, CHANGED }] } }";
        await _cli.RunRecipeAsync(Recipe.Replace("CHANGED", "note: one"));

        await _cli.RunRecipeAsync(Recipe.Replace("CHANGED", changed), "--json");

        Assert.Equal(["unchanged", outcome], Outcomes());
    }

    [Fact]
    public async Task Run_StageThatStoppedBeforeItsEnd_GoesOnEachTimeUntilItReachesIt()
    {
        const string Recipe = "stages: { a: { do: write, text: x }, b: { do: join, first: a/text.txt } }";
        await _cli.RunRecipeAsync(Recipe, "--set", "a.stopped_by=budget");

        await _cli.RunRecipeAsync(Recipe, "--set", "a.stopped_by=budget", "--json");
        Assert.Equal(["done", "unchanged"], Outcomes());
        await _cli.RunRecipeAsync(Recipe, "--json");
        Assert.Equal(["done", "unchanged"], Outcomes());
        await _cli.RunRecipeAsync(Recipe, "--json");

        Assert.Equal(["unchanged", "unchanged"], Outcomes());
    }

    [Fact]
    public async Task Run_FileFromOutsideChanged_RepeatsItsReader()
    {
        var file = _cli.Write("outside.txt", "one");
        var recipe = $"stages: {{ a: {{ do: join, first: {file} }} }}";
        await _cli.RunRecipeAsync(recipe);
        File.SetLastWriteTimeUtc(file, new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        await _cli.RunRecipeAsync(recipe, "--json");
        Assert.Equal(["unchanged"], Outcomes());

        File.WriteAllText(file, "two");
        await _cli.RunRecipeAsync(recipe, "--json");

        Assert.Equal(["done"], Outcomes());
        Assert.Equal("two", _cli.Read("a/joined.txt"));
    }

    [Fact]
    public async Task Run_OutputFileDeleted_MakesTheStageAgain()
    {
        await _cli.RunRecipeAsync(Chain);
        File.Delete(Path.Combine(_cli.RunDirectory, "a", "text.txt"));

        await _cli.RunRecipeAsync(Chain, "--json");

        Assert.Equal(["done", "unchanged", "unchanged", "unchanged"], Outcomes());
    }

    [Fact]
    public async Task Run_ReportDeletedFromRunDirectory_IsPutThereAgain()
    {
        await _cli.RunRecipeAsync(Chain);
        File.Delete(Path.Combine(_cli.RunDirectory, "told.txt"));

        await _cli.RunRecipeAsync(Chain, "--json");

        Assert.Equal("a b both", _cli.Read("told.txt"));
        Assert.All(Outcomes(), outcome => Assert.Equal("unchanged", outcome));
    }

    [Fact]
    public async Task Run_ResolvedRecipe_RunsToTheSameResult()
    {
        await _cli.RunRecipeAsync(Chain);

        Assert.Equal(0, await _cli.RunRecipeAsync(_cli.Read("recipe.yaml"), "--json"));

        Assert.All(Outcomes(), outcome => Assert.Equal("unchanged", outcome));
    }

    [Fact]
    public async Task Run_PlanOption_PrintsAndTouchesNothing()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Chain, "--plan", "--json"));

        Assert.False(Directory.Exists(_cli.RunDirectory));
        Assert.Equal(["a", "b", "both", "all"], _cli.Json["stages"]!.AsArray().Select(stage => (string)stage!["stage"]!));
        Assert.Contains("both  join   to do  reads a, b", _cli.Error);
    }

    [Fact]
    public async Task Run_PlanOfAnEditedRecipe_TellsWhatIsChangedAndWhatWaitsForIt()
    {
        await _cli.RunRecipeAsync(Chain);

        Assert.Equal(0, await _cli.RunRecipeAsync(Chain, "--plan", "--json", "--set", "b.text=z"));

        Assert.Equal(
            ["finished", "changed", "waiting", "waiting"],
            _cli.Json["stages"]!.AsArray().Select(stage => (string)stage!["state"]!)
        );
    }

    [Fact]
    public async Task Run_OnlyOption_RunsThatStageOrSaysWhatItMisses()
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Chain, "--only", "both"));
        Assert.Contains("error: recipe.yaml: both: the stage \"a\" that it reads is not finished; run it first", _cli.Error);

        Assert.Equal(0, await _cli.RunRecipeAsync(Chain, "--only", "a,b"));
        Assert.Equal(0, await _cli.RunRecipeAsync(Chain, "--only", "both", "--json"));
        Assert.Equal(["done"], Outcomes());
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, "all")));
    }

    [Fact]
    public async Task Run_TwoAtOnceInOneDirectory_SecondIsRefused()
    {
        using var first = RunDirectory.Open(_cli.RunDirectory);

        Assert.Equal(3, await _cli.RunRecipeAsync(Chain));

        Assert.Contains("another run is using this folder", _cli.Error);
    }

    [Fact]
    public async Task Run_InterruptedInResumableStage_GoesOnThereAndCountsNothingTwice()
    {
        const string Recipe = "stages: { a: { do: write, text: x }, c: { do: count, to: 6 } }";
        _cli.Count.Before = number =>
        {
            _cli.Time.Advance(TimeSpan.FromSeconds(1));
            if (number == 4)
            {
                _cli.Interruption.Cancel();
            }
        };
        Assert.Equal(130, await _cli.RunRecipeAsync(Recipe));
        Assert.Contains("interrupted", _cli.Error);
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, "c")));

        _cli.Interruption = new CancellationTokenSource();
        _cli.Count.Before = _ => _cli.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe, "--json"));

        Assert.Equal(["unchanged", "resumed"], Outcomes());
        Assert.Equal([1, 2, 3, 4, 5, 6], _cli.Count.Counted);
        Assert.Equal(7, (double)_cli.Json["stages"]![1]!["seconds"]!);
        Assert.Equal([1L, 2, 3, 4, 5, 6], MetricsLog.Read(Path.Combine(_cli.RunDirectory, "metrics.jsonl")).Select(line => line.Step));
        Assert.Equal(2, Directory.GetFiles(Path.Combine(_cli.RunDirectory, "tensorboard", "c")).Length);
    }

    /// <summary>The same line whether the stage runs alone or one of several that run at the same time.</summary>
    [Theory]
    [InlineData("1")]
    [InlineData("2")]
    public async Task Run_StageThatFindsItsInputWrong_NamesTheRecipeAndTheStage(string jobs)
    {
        _cli.Count.BeforeOf = (end, _) =>
        {
            if (end == 5)
            {
                throw new InvalidInputException("numbers.txt:3: \"x\" is not a number");
            }
        };

        Assert.Equal(2, await _cli.RunRecipeAsync(Pair, "--jobs", jobs));

        Assert.EndsWith("error: recipe.yaml: c: numbers.txt:3: \"x\" is not a number\n", _cli.Error.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Run_UnfinishedWorkOfOtherOptions_StartsAfresh()
    {
        _cli.Count.Before = number =>
        {
            if (number == 3)
            {
                throw new IOException("No space left on device", 28);
            }
        };
        Assert.Equal(3, await _cli.RunRecipeAsync("stages: { c: { do: count, to: 6 } }"));
        Assert.Contains("error: recipe.yaml: c: No space left on device (the disk is full", _cli.Error);

        _cli.Count.Before = _ => { };
        Assert.Equal(0, await _cli.RunRecipeAsync("stages: { c: { do: count, to: 4 } }"));

        Assert.Equal([1, 2, 1, 2, 3, 4], _cli.Count.Counted);
        Assert.Equal([1L, 2, 3, 4], MetricsLog.Read(Path.Combine(_cli.RunDirectory, "metrics.jsonl")).Select(line => line.Step));
    }

    [Fact]
    public async Task Run_KilledBetweenManifestAndRename_PublishesWithoutWorkingAgain()
    {
        const string Recipe = "stages: { c: { do: count, to: 3 } }";
        await _cli.RunRecipeAsync(Recipe);
        Directory.Move(Path.Combine(_cli.RunDirectory, "c"), Path.Combine(_cli.RunDirectory, ".c.partial"));
        Directory.CreateDirectory(Path.Combine(_cli.RunDirectory, ".c.replaced"));

        await _cli.RunRecipeAsync(Recipe, "--json");

        Assert.Equal(["unchanged"], Outcomes());
        Assert.Equal([1, 2, 3], _cli.Count.Counted);
        Assert.Equal("1\n2\n3\n", _cli.Read("c/count.txt"));
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, ".c.replaced")));
    }

    const string Pair = """
        stages:
          a: { do: write, text: x }
          c: { do: count, to: 5 }
          d: { do: count, to: 6 }
          e: { do: join, first: a, parts: [c/count.txt, d/count.txt] }
        """;

    [Fact]
    public async Task Run_TwoJobs_StagesThatDoNotReadEachOtherRunAtTheSameTime()
    {
        using var both = new Barrier(2);
        _cli.Count.Before = number => Assert.True(number != 1 || both.SignalAndWait(TimeSpan.FromMinutes(1)));

        Assert.Equal(0, await _cli.RunRecipeAsync(Pair, "--jobs", "2", "--json"));

        Assert.Equal(["a", "c", "d", "e"], _cli.Json["stages"]!.AsArray().Select(stage => (string)stage!["stage"]!));
        Assert.Equal("x+1\n2\n3\n4\n5\n+1\n2\n3\n4\n5\n6\n", _cli.Read("e/joined.txt"));
        var metrics = MetricsLog.Read(Path.Combine(_cli.RunDirectory, "metrics.jsonl")).ToLookup(line => line.Stage, line => line.Step);
        Assert.Equal([1L, 2, 3, 4, 5], metrics["c"]);
        Assert.Equal([1L, 2, 3, 4, 5, 6], metrics["d"]);
        Assert.Contains("c: done in", _cli.Error);
    }

    [Fact]
    public async Task Run_PlanOption_TellsWhatRunsAtTheSameTime()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Pair, "--plan", "--jobs", "2", "--json"));

        Assert.Contains("  at the same time: c, d\n", _cli.Error.ReplaceLineEndings("\n"));
        Assert.Equal("""[["c","d"]]""", _cli.Json["side_by_side"]!.ToJsonString());

        Assert.Equal(0, await _cli.RunRecipeAsync(Pair, "--plan", "--jobs", "1", "--json"));
        Assert.DoesNotContain("at the same time", _cli.Error);
        Assert.Equal("[]", _cli.Json["side_by_side"]!.ToJsonString());
    }

    [Fact]
    public async Task Run_MatrixOfMoreCopiesThanJobs_TellsHowManyOfThemRun()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync("stages: { c: { do: count, matrix: { to: [1, 2, 3] } } }", "--plan", "--jobs", "2"));

        Assert.Contains("  at the same time, 2 of them: c (3)", _cli.Error);
    }

    [Fact]
    public async Task Run_OneJob_StagesRunOneAfterTheOther()
    {
        List<int> ends = [];
        _cli.Count.BeforeOf = (end, _) => ends.Add(end);

        Assert.Equal(0, await _cli.RunRecipeAsync(Pair, "--jobs", "1"));

        Assert.Equal([5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6], ends);
    }

    [Fact]
    public async Task Run_OneOfTwoJobsFails_TheOtherGoesOnToItsEndAndNothingElseStarts()
    {
        using var both = new Barrier(2);
        using var failed = new ManualResetEventSlim();
        _cli.Count.BeforeOf = (end, number) =>
        {
            Assert.True(number != 2 || both.SignalAndWait(TimeSpan.FromMinutes(1)));
            if (end == 5 && number == 3)
            {
                failed.Set();
                throw new ExternalFailureException("the teacher is gone");
            }

            Assert.True(end != 6 || number < 4 || failed.Wait(TimeSpan.FromMinutes(1)));
        };

        Assert.Equal(3, await _cli.RunRecipeAsync(Pair, "--jobs", "2"));

        Assert.EndsWith("error: recipe.yaml: c: the teacher is gone\n", _cli.Error.ReplaceLineEndings("\n"));
        Assert.True(File.Exists(Path.Combine(_cli.RunDirectory, "d", "count.txt")));
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, "c")));
        Assert.False(Directory.Exists(Path.Combine(_cli.RunDirectory, "e")));

        _cli.Count.BeforeOf = (_, _) => { };
        _cli.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, await _cli.RunRecipeAsync(Pair, "--jobs", "2", "--json"));
        Assert.Equal(["unchanged", "resumed", "unchanged", "done"], Outcomes());
    }

    [Fact]
    public async Task Run_TwoJobsInterrupted_BothGoOnFromWhereTheyWere()
    {
        using var both = new Barrier(2);
        _cli.Count.BeforeOf = (_, number) =>
        {
            if (number == 3)
            {
                Assert.True(both.SignalAndWait(TimeSpan.FromMinutes(1)));
                _cli.Interruption.Cancel();
            }
        };
        Assert.Equal(130, await _cli.RunRecipeAsync(Pair, "--jobs", "2"));
        Assert.DoesNotContain("failed", _cli.Error);

        _cli.Interruption = new CancellationTokenSource();
        _cli.Count.BeforeOf = (_, _) => { };
        _cli.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(0, await _cli.RunRecipeAsync(Pair, "--jobs", "2", "--json"));

        Assert.Equal(["unchanged", "resumed", "resumed", "done"], Outcomes());
        Assert.Equal([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6], _cli.Count.Counted.Order());
    }

    [Fact]
    public async Task Run_JobsOfTheRecipe_AreCheckedAndKept()
    {
        Assert.Equal(2, await _cli.RunRecipeAsync("jobs: 0\nstages: { a: { do: write, text: x } }"));
        Assert.Contains("jobs: must be from 1 to 64, or auto; found \"0\"", _cli.Error);
        Assert.Equal(2, await _cli.RunRecipeAsync("stages: { a: { do: write, text: x } }", "--jobs", "many"));
        Assert.Contains("--jobs: must be from 1 to 64, or auto; found \"many\"", _cli.Error);

        Assert.Equal(0, await _cli.RunRecipeAsync("jobs: 2\nstages: { a: { do: write, text: x } }", "--set", "jobs=3"));
        Assert.Contains("jobs: 3\n", _cli.Read("recipe.yaml"));
        Assert.Equal(0, await _cli.RunRecipeAsync("jobs: 2\nstages: { a: { do: write, text: x } }", "--set", "jobs=auto"));
        Assert.Contains("jobs: auto\n", _cli.Read("recipe.yaml"));
    }

    IEnumerable<string> Outcomes() => _cli.Json["stages"]!.AsArray().Select(stage => (string)stage!["outcome"]!);

    SortedDictionary<string, (DateTime, string)> Snapshot() =>
        new(
            Directory
                .GetFiles(_cli.RunDirectory, "*", SearchOption.AllDirectories)
                .Where(file => Path.GetFileName(file) != ".lock")
                .ToDictionary(file => file, file => (File.GetLastWriteTimeUtc(file), File.ReadAllText(file)))
        );
}
