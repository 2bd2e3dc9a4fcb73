using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Secrets;

/// <summary>
/// A stranger's recipe and the keys of this machine. Nothing listens at the hosts named here:
/// what is refused is refused before anything is sent.
/// </summary>
public sealed class KeyUseTests : IDisposable
{
    readonly CliHarness _cli = new() { Stages = [new GenerateVerb(), new EvaluateVerb()], Others = [new DoctorVerb()] };

    public KeyUseTests() => _cli.Write("problems.jsonl", """{"problem":"1+1?","answer":"2"}""");

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Run_RecipeThatSendsAVariableElsewhere_IsRefusedWithTheOptionToAdd()
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe("endpoint: 'http://gpu-01.invalid:8000/v1', api_key_env: AWS_SECRET_ACCESS_KEY")));

        Assert.Contains("$AWS_SECRET_ACCESS_KEY → gpu-01.invalid:8000", _cli.Error, StringComparison.Ordinal);
        Assert.Contains("add --allow-key AWS_SECRET_ACCESS_KEY=gpu-01.invalid:8000", _cli.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_cli.RunDirectory));
    }

    [Fact]
    public async Task Run_Plan_ShowsWhereKeysWouldGo()
    {
        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe("endpoint: 'https://api.openai.com/v1', api_key_env: OPENAI_API_KEY"), "--plan"));
        Assert.Contains("$OPENAI_API_KEY → api.openai.com\n", _cli.Error.ReplaceLineEndings("\n"), StringComparison.Ordinal);

        Assert.Equal(0, await _cli.RunRecipeAsync(Recipe("endpoint: 'https://evil.invalid', api_key_env: OPENAI_API_KEY"), "--plan"));
        Assert.Contains(
            "$OPENAI_API_KEY → evil.invalid (not allowed yet: add --allow-key OPENAI_API_KEY=evil.invalid)",
            _cli.Error,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(
        "endpoints: ['http://127.0.0.1:9/v1', { endpoint: 'https://evil.invalid/v1', api_key_env: HOME }], model: m",
        "$HOME → evil.invalid"
    )]
    [InlineData("endpoints: ['http://127.0.0.1:9/v1', 'https://evil.invalid/v1'], api_key_env: HOME", "$HOME → evil.invalid")]
    [InlineData("endpoint: 'https://evil.invalid/v1', api_key_file: /etc/teacher.key", "/etc/teacher.key → evil.invalid")]
    [InlineData("endpoint: 'https://user@evil.invalid/v1', api_key_env: HOME", "$HOME → evil.invalid")]
    public async Task Run_EveryWayToNameAKey_IsLookedAt(string settings, string pair)
    {
        Assert.Equal(2, await _cli.RunRecipeAsync(Recipe(settings)));

        Assert.Contains(pair, _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_EvaluatedModelWithAKey_IsLookedAt()
    {
        var recipe =
            $"stages: {{ e: {{ do: evaluate, problems: {_cli.File("problems.jsonl")}, models: "
            + "{ a: { endpoint: 'https://evil.invalid/v1', model: m, api_key_env: HOME } } } }";

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe));

        Assert.Contains("$HOME → evil.invalid", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_PairAllowed_GetsAsFarAsTheKey()
    {
        const string Recipe = "endpoint: 'http://gpu-01.invalid:8000/v1', api_key_env: TRACEDISTILL_TEST_UNSET";

        Assert.Equal(
            2,
            await _cli.RunRecipeAsync(KeyUseTests.Recipe(Recipe, _cli), "--allow-key", "TRACEDISTILL_TEST_UNSET=gpu-01.invalid:8000")
        );
        Assert.Contains("the environment variable TRACEDISTILL_TEST_UNSET is empty", _cli.Error, StringComparison.Ordinal);

        _cli.Write("allowed-keys", "TRACEDISTILL_TEST_UNSET=gpu-01.invalid:8000\n");
        Assert.Equal(2, await _cli.RunRecipeAsync(KeyUseTests.Recipe(Recipe, _cli)));
        Assert.Contains("the environment variable TRACEDISTILL_TEST_UNSET is empty", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_BothPartsSet_AreTheUsersOwnWordsAndOneIsNot()
    {
        var recipe = Recipe("endpoint: 'http://recipe.invalid/v1'");

        Assert.Equal(
            2,
            await _cli.RunRecipeAsync(
                recipe,
                "--set",
                "t.endpoint=http://mine.invalid/v1",
                "--set",
                "t.api_key_env=TRACEDISTILL_TEST_UNSET"
            )
        );
        Assert.Contains("TRACEDISTILL_TEST_UNSET is empty", _cli.Error, StringComparison.Ordinal);

        Assert.Equal(2, await _cli.RunRecipeAsync(recipe, "--set", "t.api_key_env=TRACEDISTILL_TEST_UNSET"));
        Assert.Contains("add --allow-key TRACEDISTILL_TEST_UNSET=recipe.invalid:80", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verb_ConfigFile_IsAStrangersAndOptionsAreNot()
    {
        string[] command = ["doctor", "--endpoint", "http://gpu-01.invalid/v1", "--model", "m"];

        Assert.Equal(2, await _cli.RunAsync([.. command, "--api-key-env", "TRACEDISTILL_TEST_UNSET"]));
        Assert.Contains("TRACEDISTILL_TEST_UNSET is empty", _cli.Error, StringComparison.Ordinal);

        Assert.Equal(2, await _cli.RunAsync([.. command, "--config", _cli.Write("c.yaml", "api_key_env: TRACEDISTILL_TEST_UNSET")]));
        Assert.Contains("add --allow-key TRACEDISTILL_TEST_UNSET=gpu-01.invalid:80", _cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_RecipeOrConfigThatAllowsItself_IsAnUnknownKey()
    {
        Assert.Equal(
            2,
            await _cli.RunRecipeAsync(Recipe("endpoint: 'https://evil.invalid/v1', api_key_env: HOME, allow_key: HOME=evil.invalid"))
        );

        Assert.Contains("unknown key \"allow_key\"", _cli.Error, StringComparison.Ordinal);
    }

    string Recipe(string settings) => Recipe(settings, _cli);

    static string Recipe(string settings, CliHarness cli) =>
        $"stages: {{ t: {{ do: generate, problems: {cli.File("problems.jsonl")}, "
        + $"{(settings.Contains("model:", StringComparison.Ordinal) ? "" : "model: m, ")}{settings} }} }}";
}
