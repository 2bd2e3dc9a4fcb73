using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Recipes;
using TraceDistill.Cli.Stages;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Recipes;

public sealed class PlannerTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Plan_MatrixOverTwoKeys_RepeatsTheStageForEveryPair()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x, matrix: { seed: [1, 2], text: [p, q/r] } }
            """
        );

        Assert.Equal(["a.1.p", "a.1.q-r", "a.2.p", "a.2.q-r"], plan.Stages.Select(stage => stage.Name));
        Assert.Equal(
            ["1p", "1q/r", "2p", "2q/r"],
            plan.Stages.Select(stage => (WriteOptions)stage.Options).Select(options => $"{options.Seed}{options.Text}")
        );
    }

    /// <summary>So that a report compares each with the copy that it was made of.</summary>
    [Fact]
    public void Plan_MatrixOverCopiesOfAStage_NamesItsCopiesAsThose()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x, matrix: { seed: [1, 2] } }
              b: { do: write, text: y, matrix: { seed: [1, 2] } }
              c: { do: join, matrix: { first: [a.1, a.2] } }
              d: { do: join, matrix: { first: [a.1, b.1] } }
            """
        );

        Assert.Equal(["c.1", "c.2", "d.a.1", "d.b.1"], plan.Stages.Skip(4).Select(stage => stage.Name));
        Assert.Equal(InRun("a.2"), Options(plan, "c.2").First);
        Assert.Equal(InRun("b.1"), Options(plan, "d.b.1").First);
    }

    [Fact]
    public void Plan_StageThatNamesAMatrix_GetsAllCopies()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x, matrix: { seed: [1, 2] } }
              list: { do: join, parts: [a/text.txt] }
              map: { do: join, named: { a: a, other: a.2 } }
            """
        );

        Assert.Equal([InRun("a.1/text.txt"), InRun("a.2/text.txt")], Options(plan, "list").Parts);
        Assert.Equal(
            [("a.1", InRun("a.1")), ("a.2", InRun("a.2")), ("other", InRun("a.2"))],
            Options(plan, "map").Named.Select(pair => (pair.Key, pair.Value))
        );
    }

    /// <summary>Paths within the maps of a list are inputs like any other; nothing else in them is.</summary>
    [Fact]
    public void Plan_PathsWithinMapsOfAList_NameStagesToo()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x }
              b: { do: write, text: y }
              list: { do: join, weighed: [{ path: a/text.txt, weight: b }, b] }
              one: { do: join, weighed: b }
            """
        );

        Assert.Equal(
            [(InRun("a/text.txt"), "b"), (InRun("b"), "")],
            Options(plan, "list").Weighed.Select(item => (item.Path, item.Weight))
        );
        Assert.Equal(["a", "b"], plan.Stages.Single(stage => stage.Name == "list").DependsOn);
        Assert.Equal(["weighed[0].path", "weighed"], plan.Stages.Single(stage => stage.Name == "list").Inputs.Select(input => input.Key));
        Assert.Equal(InRun("b"), Assert.Single(Options(plan, "one").Weighed).Path);
    }

    /// <summary>As of what is rehearsed: { traces: STAGE, share: 0.2 }.</summary>
    [Fact]
    public void Plan_PathWithinAMap_NamesAStageToo()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x }
              map: { do: join, inner: { path: a/text.txt, weight: a } }
            """
        );

        Assert.Equal((InRun("a/text.txt"), "a"), (Options(plan, "map").Inner!.Path, Options(plan, "map").Inner!.Weight));
        Assert.Equal(["a"], plan.Stages.Single(stage => stage.Name == "map").DependsOn);
        Assert.Equal("inner.path", Assert.Single(plan.Stages.Single(stage => stage.Name == "map").Inputs).Key);
    }

    [Fact]
    public void Plan_PathWithinAMapThatIsNowhere_IsToldWithItsPlace() =>
        Assert.Contains(
            "list.weighed[1].path: no such stage, file or folder: \"aa\"; did you mean the stage \"a\"?",
            Assert
                .Throws<InvalidInputException>(() =>
                    Plan(
                        """
                        stages:
                          a: { do: write, text: x }
                          list: { do: join, weighed: [a, { path: aa }] }
                        """
                    )
                )
                .Message
        );

    [Fact]
    public void Plan_TwoStagesWithTheSameMatrix_ArePairedByValue()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x, matrix: { seed: [1, 2] } }
              b: { do: join, first: a, matrix: { seed: [1, 2], tag: [s, t] } }
            """
        );

        Assert.Equal(InRun("a.1"), Options(plan, "b.1.t").First);
        Assert.Equal(InRun("a.2"), Options(plan, "b.2.s").First);
    }

    [Fact]
    public void Plan_Like_CopiesOptionsAndMatrixButNotWhatIsSaidAgain()
    {
        var plan = Plan(
            """
            stages:
              a: { do: write, text: x, matrix: { seed: [1, 2] } }
              b: { like: a, text: y }
            """
        );

        Assert.Equal(
            ["x1", "x2", "y1", "y2"],
            plan.Stages.Select(stage => (WriteOptions)stage.Options).Select(options => $"{options.Text}{options.Seed}")
        );
    }

    [Fact]
    public void Plan_ParametersAndOverrides_AreFilledIn()
    {
        var plan = Plan(
            """
            seed: 1
            parameters: { who: world, file: }
            stages:
              a: { do: write, text: "hello ${who}" }
              b: { do: join, first: "${file}" }
            """,
            "who=all",
            $"file={_folder.File("recipe.yaml")}",
            "seed=3",
            "b.tag=x"
        );

        Assert.Equal(new WriteOptions { Text = "hello all", Seed = 3 }, plan.Stages[0].Options);
        Assert.Equal(_folder.File("recipe.yaml"), Options(plan, "b").First);
    }

    [Fact]
    public void Plan_PathFromOutside_IsFoundBesideOrAboveTheRecipe()
    {
        Directory.CreateDirectory(_folder.File("deep"));
        File.WriteAllText(_folder.File("outside-of-recipe.txt"), "");
        var recipe = Path.Combine(_folder.File("deep"), "r.yaml");
        File.WriteAllText(recipe, "stages: { a: { do: join, first: outside-of-recipe.txt } }");

        var plan = new Planner(Verbs()).Plan(recipe, [], _ => _folder.File("run"));

        Assert.Equal(_folder.File("outside-of-recipe.txt"), ((JoinOptions)plan.Stages[0].Options).First);
    }

    [Fact]
    public void Plan_ManyMistakes_ListsAllWithFileLineAndColumn()
    {
        var message = Problems(
            """
            nam: x
            parameters: { p: }
            stages:
              a: { do: wriet, text: x }
              b: { do: write, txt: x, seed: one }
              c: { do: join, first: missing.txt, parts: [aa], tag: "${q} ${p}" }
              d: { like: e, text: x }
              recipe.yaml: { do: write, text: x }
              f: 3
              g: { text: x }
            """
        );

        Assert.Equal(
            """
            recipe.yaml: 14 problems
            recipe.yaml:1:1: unknown key "nam"; did you mean "name"?
            recipe.yaml:4:12: a.do: unknown verb "wriet"; did you mean "write"?
            recipe.yaml:5:6: b.text: is required: what to write
            recipe.yaml:5:19: b: unknown key "txt"; did you mean "text"?
            recipe.yaml:5:33: b.seed: expected a whole number, found "one"
            recipe.yaml:6:25: c.first: no such stage, file or folder: "missing.txt"
            recipe.yaml:6:46: c.parts: no such stage, file or folder: "aa"; did you mean the stage "a"?
            recipe.yaml:6:56: c.tag: unknown parameter "q"; did you mean "p"?
            recipe.yaml:6:56: c.tag: the parameter "p" has no value: give it with --set p=VALUE
            recipe.yaml:7:3: d.do: is required: one of write, join, count, tell
            recipe.yaml:7:14: d.like: no stage "e"; did you mean "a"?
            recipe.yaml:8:3: recipe.yaml: not a stage name: use letters, digits, - and _, and not a name that the run directory itself uses
            recipe.yaml:9:3: f: expected a map such as { do: VERB, ... }, found "3"
            recipe.yaml:10:3: g.do: is required: one of write, join, count, tell
            """,
            message
        );
    }

    [Theory]
    [InlineData(
        "stages: { c: { do: join, first: a }, a: { do: join, first: b }, b: { do: join, first: a } }",
        "recipe.yaml: stages wait for each other: a reads b, b reads a"
    )]
    [InlineData("stages: { a: { do: join, first: a } }", "recipe.yaml: stages wait for each other: a reads a")]
    [InlineData("stages: { a: { like: a, do: tell } }", "recipe.yaml:1:22: a.like: goes round in a circle")]
    [InlineData(
        "stages: { a: { do: write, text: x, matrix: { seed: 1 } } }",
        "recipe.yaml:1:52: a.matrix.seed: expected a list of values, found \"1\""
    )]
    [InlineData(
        "stages: { a: { do: write, text: x, matrix: { sede: [1] } } }",
        "recipe.yaml:1:46: a: unknown key \"sede\"; did you mean \"seed\"?"
    )]
    [InlineData(
        "stages: { a: { do: write, text: x, matrix: { seed: [1, 2] } }, b: { do: join, first: a } }",
        "recipe.yaml:1:86: b.first: \"a\" is 2 stages and one is expected: name one (a.1) or give this stage the same matrix"
    )]
    [InlineData(
        "stages: { a: { do: write, text: x, matrix: { text: [p q, p-q] } } }",
        "recipe.yaml:1:11: a: two copies of the matrix would share the folder a.p-q; give values that differ in letters, digits, . - or _"
    )]
    [InlineData(
        "stages: { a: { do: write, text: x }, b: { do: join, first: a/tetx.txt } }",
        "recipe.yaml:1:60: b.first: the stage \"a\" makes no \"tetx.txt\"; did you mean \"text.txt\"?"
    )]
    [InlineData(
        "{ seed: one, stages: { a: { do: write, text: x }, b: { do: write, text: y } } }",
        "recipe.yaml:1:9: seed: expected a whole number, found \"one\""
    )]
    [InlineData(
        "stages: { a: { do: write, text: x, sede: 1, matrix: { text: [p, q] } }, b: { like: a } }",
        "recipe.yaml:1:36: a: unknown key \"sede\"; did you mean \"seed\"?"
    )]
    [InlineData(
        "{ name: ../../x, stages: { a: { do: tell } } }",
        "recipe.yaml:1:9: name: \"../../x\" cannot name a folder: use letters, digits, . - and _"
    )]
    [InlineData("name: x", "recipe.yaml:1:1: stages: is required: give at least one named stage")]
    public void Plan_OneMistake_IsToldInOneLine(string yaml, string expected) => Assert.Equal(expected, Problems(yaml));

    [Theory]
    [InlineData("c.to=3", "--set c.to=3: the recipe has no \"c\" under stages; did you mean \"a\"?")]
    [InlineData("q=3", "--set q=3: the recipe has no \"q\" under parameters; known: ")]
    [InlineData("a.seed=x", "--set a.seed=x: a.seed: expected a whole number, found \"x\"")]
    public void Plan_WrongOverride_NamesIt(string text, string expected) =>
        Assert.Equal(expected, Assert.Throws<InvalidInputException>(() => Plan("stages: { a: { do: write, text: x } }", text)).Message);

    /// <summary>The person typed the option, and the recipe's line is right.</summary>
    [Theory]
    [InlineData("seed: \"${p}\"", "p=x", "--set p=x: a.seed: expected a whole number, found \"x\"")]
    [InlineData("seed: \"1${p}\"", "p=x", "--set p=x: a.seed: expected a whole number, found \"1x\"")]
    [InlineData("seed: \"${p}\"", "p=[1, 2]", "--set p=[1, 2]: a.seed: the parameter \"p\" is not a single value")]
    [InlineData("do: \"${p}\"", "p=wriet", "--set p=wriet: a.do: unknown verb \"wriet\"; did you mean \"write\"?")]
    [InlineData("do: join, first: \"${p}\"", "p=nowhere", "--set p=nowhere: a.first: no such stage, file or folder: \"nowhere\"")]
    [InlineData("matrix: { seed: [1, \"${p}\"] }", "p=x", "--set p=x: a.seed: expected a whole number, found \"x\"")]
    public void Plan_OverrideOfAParameterThatDoesNotFit_NamesIt(string settings, string text, string expected)
    {
        var stage = settings.StartsWith("do:", StringComparison.Ordinal) ? settings : $"do: write, text: x, {settings}";

        var error = Assert.Throws<InvalidInputException>(() => Plan($"{{ parameters: {{ p: 1 }}, stages: {{ a: {{ {stage} }} }} }}", text));

        Assert.StartsWith(
            expected,
            error.Message.Split('\n').First(line => line.Contains(": a.", StringComparison.Ordinal)),
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("batch_out: b.jsonl")]
    [InlineData("batch_in: [b.jsonl]")]
    public void Plan_BatchInAStage_IsRefused(string batch)
    {
        File.WriteAllText(_folder.File("b.jsonl"), "");
        File.WriteAllText(_folder.File("recipe.yaml"), $"stages: {{ a: {{ do: generate, problems: b.jsonl, model: m, {batch} }} }}");

        var error = Assert.Throws<InvalidInputException>(() =>
            new Planner([new GenerateVerb()]).Plan(_folder.File("recipe.yaml"), [], _ => _folder.File("run"))
        );

        Assert.Contains("belongs to the command line", error.Message);
    }

    [Fact]
    public void Plan_MatrixOfABillion_IsRefusedBeforeItIsMade()
    {
        var numbers = string.Join(", ", Enumerable.Range(1, 1_000));

        Assert.Equal(
            "recipe.yaml:1:44: a.matrix: comes to 1,000,000,000 copies, and 1,000 is the most; give shorter lists, or several recipes",
            Problems($"stages: {{ a: {{ do: write, text: x, matrix: {{ seed: [{numbers}], text: [{numbers}], tag: [{numbers}] }} }} }}")
        );
    }

    [Fact]
    public void Plan_MatricesThatComeToTooMuchTogether_AreRefused()
    {
        var stages = string.Concat(Enumerable.Range(1, 500).Select(number => $"  s{number}: {{ like: a }}\n"));

        Assert.Equal(
            "recipe.yaml: comes to more than 1,000 stages; give shorter matrices, or several recipes",
            Problems(
                $"stages:\n  a: {{ do: write, text: x, matrix: {{ seed: [{string.Join(", ", Enumerable.Range(1, 900))}] }} }}\n{stages}"
            )
        );
    }

    [Fact]
    public void Plan_ParameterNamedOverAndOver_IsBounded()
    {
        var text = string.Concat(Enumerable.Repeat("${a}", 10_000));

        Assert.Contains(
            "the values of parameters come to more than 1,048,576 characters",
            Problems($"parameters: {{ a: {new string('x', 10_000)} }}\nstages: {{ a: {{ do: write, text: \"{text}\" }} }}"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Fingerprint_NumberOfWorkers_IsNoPartOfIt()
    {
        File.WriteAllText(_folder.File("problems.jsonl"), "");

        Assert.Equal(Of(""), Of(", workers: 3"));
        Assert.NotEqual(Of(""), Of(", max_steps: 3"));

        string Of(string more)
        {
            const string Shape = "{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1 }";
            File.WriteAllText(
                _folder.File("recipe.yaml"),
                $"stages: {{ a: {{ do: pretrain, problems: problems.jsonl, architecture: {Shape}{more} }} }}"
            );
            var plan = new Planner([new PretrainVerb()]).Plan(_folder.File("recipe.yaml"), [], _ => _folder.File("run"));
            return Fingerprint.Of(Assert.Single(plan.Stages), []);
        }
    }

    RunPlan Plan(string yaml, params string[] overrides)
    {
        File.WriteAllText(_folder.File("recipe.yaml"), yaml);
        return new Planner(Verbs()).Plan(_folder.File("recipe.yaml"), overrides, _ => _folder.File("run"));
    }

    string Problems(string yaml) =>
        Assert.Throws<InvalidInputException>(() => Plan(yaml)).Message.Replace(_folder.Path + Path.DirectorySeparatorChar, "");

    string InRun(string path) => Path.Combine(_folder.File("run"), path);

    static JoinOptions Options(RunPlan plan, string stage) => (JoinOptions)plan.Stages.Single(planned => planned.Name == stage).Options;

    static IVerb[] Verbs() => [new WriteVerb(), new JoinVerb(), new CountVerb(), new TellVerb()];
}
