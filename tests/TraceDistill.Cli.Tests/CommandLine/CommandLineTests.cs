using System.Text.Json.Nodes;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.CommandLine;
using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Data.Files;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.CommandLine;

public sealed class CommandLineTests : IDisposable
{
    readonly CliHarness _cli = new();

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Verb_WithJson_PutsOneObjectOnStandardOutputAndTheRestOnStandardError()
    {
        Assert.Equal(0, await _cli.RunAsync("count", "--to", "3", "--out", _cli.File("c"), "--json"));

        Assert.Equal(3, (int)JsonNode.Parse(_cli.Out)!["last"]!);
        Assert.Equal("count: 3/3 numbers\nwritten: c\n", _cli.Error.ReplaceLineEndings("\n"));
        Assert.DoesNotContain('\u001b', _cli.Error);
        Assert.True(File.Exists(Path.Combine(_cli.File("c"), "metrics.jsonl")));
    }

    [Fact]
    public async Task Verb_ConfigFileAndCommandLine_CommandLineTakesPrecedence()
    {
        var config = _cli.Write("options.yaml", "text: from file\nseed: 4");

        Assert.Equal(0, await _cli.RunAsync("write", "--config", config, "--seed", "1e1", "--out", _cli.File("w")));

        Assert.Equal("from file", File.ReadAllText(Path.Combine(_cli.File("w"), "text.txt")));
        Assert.Equal("10", File.ReadAllText(Path.Combine(_cli.File("w"), "more", "seed.txt")));
    }

    [Fact]
    public async Task Verb_ListsAndMaps_TakeCommasRepetitionsAndPairs()
    {
        var (a, b) = (_cli.Write("a", "x"), _cli.Write("b", "y"));

        Assert.Equal(0, await _cli.RunAsync("join", "--parts", $"{a},{b}", "--parts", a, b, "--named", $"n={a}", $"m={b}", "--json"));

        Assert.Equal("x+y+x+y+n=x+m=y", (string)_cli.Json["joined"]!);
    }

    [Theory]
    [InlineData(
        "error: write: 3 problems\n--out: is required: say where to write\n--seed: "
            + "expected a whole number, found \"x\"\n--text: is required: what to write\n",
        "write",
        "--seed",
        "x"
    )]
    [InlineData(
        "error: unknown option --sede; did you mean \"--seed\"? (tracedistill write --help shows what is known)\n",
        "write",
        "--sede",
        "3"
    )]
    [InlineData("error: \"more\" is more than write takes (tracedistill write --help shows what is known)\n", "write", "more")]
    [InlineData(
        "error: unknown verb \"wriet\"; did you mean \"write\"? (tracedistill --help shows what is known)\n",
        "wriet",
        "--seed",
        "3"
    )]
    [InlineData(
        "error: Required argument missing for option: '--seed' (tracedistill write --help shows what is known)\n",
        "write",
        "--seed"
    )]
    [InlineData("error: missing.yaml: no such file\n", "run", "missing.yaml")]
    [InlineData("error: .: is a folder; name a YAML file\n", "run", ".")]
    [InlineData("error: --out: is required: say where to write\n", "count")]
    [InlineData("error: --out: is required: say where to write\n", "count", "--out", "")]
    [InlineData("error: --named: expected NAME=VALUE, found \"x\"\n", "join", "--named", "x")]
    [InlineData("error: --set: expected NAME=VALUE, found \"steps\"\n", "run", "recipe.yaml", "--set", "steps")]
    [InlineData("error: --parts: no such file or folder: \"nowhere\"\n", "join", "--parts", "nowhere")]
    [InlineData(
        "error: --weighed: weighed[0].path: no such file or folder: \"nowhere\"\n",
        "join",
        "--weighed",
        "{ path: nowhere, weight: 2 }"
    )]
    [InlineData("error: --inner: path: no such file or folder: \"nowhere\"\n", "join", "--inner", "{ path: nowhere }")]
    [InlineData("error: RECIPE: is required: recipe, a YAML file of named stages\n", "run")]
    public async Task Verb_WrongUsage_IsToldWithExitCode2(string expected, params string[] arguments)
    {
        Assert.Equal(2, await _cli.RunAsync(arguments));

        Assert.Equal(expected, _cli.Error.ReplaceLineEndings("\n"));
        Assert.Equal("", _cli.Out);
    }

    [Fact]
    public async Task Verb_NothingGiven_ListsEverythingThatIsMissing()
    {
        using var cli = new CliHarness { Others = [new EvaluateVerb(), new GenerateVerb()] };

        Assert.Equal(2, await cli.RunAsync("evaluate"));
        Assert.Equal(
            """
            error: evaluate: 2 problems
            --problems: is required: file of problems: JSON Lines, JSON (both also .gz) or Parquet; every model answers the same ones
            --models: give either models, or one model or endpoint

            """,
            cli.Error.ReplaceLineEndings("\n")
        );
        Assert.Equal(2, await cli.RunAsync("generate"));
        Assert.Equal(
            ["--out", "--problems", "--endpoint"],
            cli.Error.ReplaceLineEndings("\n").Split('\n').Skip(1).SkipLast(1).Select(line => line.Split(':')[0])
        );
    }

    /// <summary>The client knows its setting by the recipe's key; who typed an option looks for that.</summary>
    [Fact]
    public async Task Verb_SettingThatADeeperLayerRefuses_IsNamedAsItWasGiven()
    {
        using var cli = new CliHarness { Others = [new GenerateVerb()] };
        var problems = cli.Write("problems.jsonl", """{"problem":"1 + 1","answer":"2"}""");
        string[] command =
        [
            "generate",
            "--problems",
            problems,
            "--model",
            "m",
            "--endpoint",
            "http://127.0.0.1:9/v1",
            "--out",
            cli.File("traces"),
        ];

        Assert.Equal(2, await cli.RunAsync([.. command, "--reasoning-markers", "a"]));
        var typed = cli.Error;
        Assert.Equal(2, await cli.RunAsync([.. command, "--config", cli.Write("options.yaml", "reasoning_markers: [a]")]));

        Assert.Equal($"error: --reasoning-markers: {ReasoningMarkers.NamesWanted}\n", typed.ReplaceLineEndings("\n"));
        Assert.Equal($"error: options.yaml:1:20: reasoning_markers: {ReasoningMarkers.NamesWanted}\n", cli.Error.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Help_NothingSaidToDo_IsPrinted()
    {
        Assert.Equal(0, await _cli.RunAsync());
        var bare = _cli.Out;
        Assert.Equal(0, await _cli.RunAsync("--help"));

        Assert.Equal(_cli.Out, bare);
        Assert.Contains("write", bare, StringComparison.Ordinal);
        Assert.Equal("", _cli.Error);
    }

    [Fact]
    public async Task Help_OfAVerb_ShowsEveryOptionWithItsDefault()
    {
        Assert.Equal(0, await _cli.RunAsync("count", "--help"));

        Assert.Matches(@"--to <N>\s+How far to count \[10\]", _cli.Out);
        Assert.Matches(@"--out <PATH>\s+Path to write to \(required\)", _cli.Out);
    }

    [Fact]
    public void Help_OfEveryOption_IsASentenceWithoutSubjectThatBeginsWithACapital()
    {
        var unlike = EveryOption()
            .Where(option =>
                option.Help is not [>= 'A' and <= 'Z', ..]
                || option.Help.EndsWith('.')
                || option.Help.Split(' ')[0] is "A" or "An" or "The" or "What" or "Whether" or "How" or "Only" or "Where"
            )
            .Select(option => $"{option.Verb} {option.Key}: {option.Help}");

        Assert.Empty(unlike.Distinct());
    }

    [Theory]
    [InlineData("endpoint")]
    [InlineData("api_key_file")]
    [InlineData("extra_body")]
    [InlineData("top_p")]
    [InlineData("few_shot_count")]
    [InlineData("limit")]
    [InlineData("discard")]
    [InlineData("problem_field")]
    [InlineData("duplicates")]
    public void Help_OfAnOptionOfSeveralVerbs_IsTheSame(string key)
    {
        var texts = EveryOption().Where(option => option.Key == key).ToList();

        Assert.True(texts.Count > 1, $"{key}: {texts.Count}");
        Assert.Single(texts.Select(option => option.Help).Distinct());
    }

    /// <summary>Some verbs say more of it, behind what all of them say.</summary>
    [Theory]
    [InlineData("device", "Device to compute on: cpu, cuda, cuda:N, or auto, a GPU where there is one")]
    [InlineData("api_key_env", "Environment variable that holds the ")]
    [InlineData("top_logprobs", "Alternatives for each token: the soft targets")]
    [InlineData("dialect", "Dialect of the endpoint's server")]
    [InlineData("temperature", "Sampling temperature; ")]
    [InlineData("system", "System message that goes before everything")]
    [InlineData("prompt", "Prompt directory, Plugin/Function or any other path")]
    public void Help_OfAnOptionOfSeveralVerbs_BeginsAlike(string key, string beginning)
    {
        // Objectives and exits have a temperature of another kind, and teachers a device beside the student's.
        string[] others = ["train teachers", "train early_exits"];
        var texts = EveryOption()
            .Where(option => option.Key == key && !option.Verb.Contains(" objectives ") && !others.Contains(option.Verb))
            .ToList();

        Assert.True(texts.Count > 1, $"{key}: {texts.Count}");
        Assert.All(texts, option => Assert.StartsWith(beginning, option.Help, StringComparison.Ordinal));
    }

    static IEnumerable<(string Verb, string Key, string? Help)> EveryOption()
    {
        return Verbs.All.SelectMany(verb => Options(verb.OptionsType, verb.Name));

        static IEnumerable<(string Verb, string Key, string? Help)> Options(Type type, string name) =>
            OptionSchema
                .Of(type)
                .Properties.SelectMany(property =>
                {
                    var value = Nullable.GetUnderlyingType(property.Type) ?? property.Type;
                    var record = OptionShape.ListItem(value) ?? OptionShape.DictionaryValue(value) ?? value;
                    var nested = OptionShape.IsRecord(record) ? Options(record, $"{name} {property.Key}") : [];
                    return nested.Prepend((name, property.Key, property.Description));
                });
    }

    [Fact]
    public async Task Verb_FileWhereAFolderIsMeant_IsRefusedAndLeftAlone()
    {
        var file = _cli.Write("taken", "mine");

        Assert.Equal(2, await _cli.RunAsync("write", "--text", "x", "--out", file));

        Assert.Equal("error: --out: taken is a file; name a folder\n", _cli.Error.ReplaceLineEndings("\n"));
        Assert.Equal("mine", File.ReadAllText(file));
    }

    [Fact]
    public async Task Verb_FolderWithADotInItsName_HasMetricsAndIsLocked()
    {
        var folder = _cli.File("rate-0.5");

        Assert.Equal(0, await _cli.RunAsync("count", "--to", "3", "--out", folder));
        Assert.True(File.Exists(Path.Combine(folder, "metrics.jsonl")));

        using var other = FolderLock.Take(folder);
        Assert.Equal(3, await _cli.RunAsync("count", "--to", "3", "--out", folder));
    }

    [Fact]
    public async Task Verb_FolderThatAnotherProcessWritesTo_IsRefusedAndLeftAlone()
    {
        var folder = Directory.CreateDirectory(_cli.File("out")).FullName;
        using var other = FolderLock.Take(folder);

        Assert.Equal(3, await _cli.RunAsync("write", "--text", "x", "--out", folder));

        Assert.Contains($"error: out: another run is using this folder", _cli.Error);
        Assert.Equal([".lock"], Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)));
    }

    [Theory]
    [InlineData("file")]
    [InlineData("file/below/it")]
    public async Task Verb_FileWhereTheOutputFolderHasToBe_IsToldWithExitCode2(string output)
    {
        var file = _cli.File("file");
        File.WriteAllText(file, "kept");

        Assert.Equal(2, await _cli.RunAsync("write", "--text", "x", "--out", _cli.File(output)));

        Assert.Contains("--out: file is a file; name a folder", _cli.Error);
        Assert.Equal("kept", File.ReadAllText(file));
    }

    public static TheoryData<Exception, int, string> Failures =>
        new()
        {
            { new InvalidInputException("file.jsonl:3: field answer is missing"), 2, "error: file.jsonl:3: field answer is missing\n" },
            {
                new ExternalFailureException("http://x refuses connections; start the server"),
                3,
                "error: http://x refuses connections; start the server\n"
            },
            { new UnauthorizedAccessException("Access to the path '/x' is denied."), 2, "error: Access to the path '/x' is denied.\n" },
            {
                new ExternalFailureException("runs/x/a.parquet: cannot be written", new IOException("No space left on device", 28)),
                3,
                "error: runs/x/a.parquet: cannot be written (the disk is full: free some space, and the same command goes on from here)\n"
            },
            {
                new InvalidInputException("a.jsonl: cannot be written", new IOException("Disk quota exceeded", 122)),
                3,
                "error: a.jsonl: cannot be written (the disk is full: free some space, and the same command goes on from here)\n"
            },
            {
                new ExternalFailureException("out: the disk is full; free some space", new IOException("full", 28)),
                3,
                "error: out: the disk is full; free some space\n"
            },
            { new AggregateException(new InvalidInputException("inner")), 2, "error: inner\n" },
            { InStage("a", new InvalidInputException("a: holds no traces")), 2, "error: r.yaml: a: holds no traces\n" },
            { InStage("a", new InvalidInputException("bad")), 2, "error: r.yaml: a: bad\n" },
            { InStage("a", new IOException("Disk quota exceeded", 122)), 3, $"error: r.yaml: a: Disk quota exceeded {DiskFull}\n" },
            {
                new AggregateException(InStage("a", new ProcessFailure(3, "gone")), InStage("b", new InvalidInputException("bad"))),
                3,
                "error: r.yaml: a: gone\nerror: r.yaml: b: bad\n"
            },
            {
                InStage("a", new AggregateException(new ExternalFailureException("x"), new ExternalFailureException("y"))),
                3,
                "error: r.yaml: a: x\nerror: r.yaml: a: y\n"
            },
            { InStage("a", new ProcessFailure(130, "interrupted")), 130, "interrupted; the same command goes on from here\n" },
            { InStage("a", new ProcessFailure(1, "odd")), 1, "r.yaml: a: odd\n" },
            { new InvalidInputException("unknown key \"\e[2Jname\a\""), 2, "error: unknown key \"\\x1B[2Jname\\x07\"\n" },
        };

    const string DiskFull = "(the disk is full: free some space, and the same command goes on from here)";

    static StageFailure InStage(string name, Exception cause) => new("r.yaml", name, cause);

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task ErrorBoundary_KnownFailure_IsOneLineAndItsExitCode(Exception failure, int code, string line)
    {
        using var error = new StringWriter { NewLine = "\n" };

        Assert.Equal(code, await ErrorBoundary.RunAsync(() => throw failure, error, CancellationToken.None));

        Assert.Equal(line, error.ToString());
    }

    [Fact]
    public async Task ErrorBoundary_UnexpectedException_IsABugWithItsStackTrace()
    {
        using var error = new StringWriter();

        Assert.Equal(1, await ErrorBoundary.RunAsync(() => throw new InvalidOperationException("odd"), error, CancellationToken.None));

        Assert.Contains("please report", error.ToString());
        Assert.Contains(nameof(ErrorBoundary_UnexpectedException_IsABugWithItsStackTrace), error.ToString());
    }

    [Fact]
    public async Task ErrorBoundary_CancellationThatNobodyAskedFor_IsABug()
    {
        using var error = new StringWriter();

        Assert.Equal(1, await ErrorBoundary.RunAsync(() => throw new OperationCanceledException(), error, CancellationToken.None));
    }
}
