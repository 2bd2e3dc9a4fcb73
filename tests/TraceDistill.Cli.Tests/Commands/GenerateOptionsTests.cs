using System.CommandLine;
using TraceDistill.Cli.Binding;
using TraceDistill.Cli.CommandLine;
using TraceDistill.Teachers;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Routing;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class GenerateOptionsTests
{
    static readonly TokenPrice Price = new() { Input = 0.5, Output = 2 };

    static readonly EndpointOptions[] Expected =
    [
        new() { Endpoint = "http://a/v1" },
        new() { Endpoint = "http://b/v1" },
        new()
        {
            Endpoint = "https://c/v1",
            Model = "big",
            Weight = 2.5,
            ApiKeyEnv = "C_KEY",
            Concurrency = 100,
            Rpm = 500,
            Tpm = 90_000,
            Price = Price,
        },
    ];

    [Fact]
    public void Recipe_SeveralEndpointsAndBudget_AreBound()
    {
        using var folder = new TemporaryDirectory();
        File.WriteAllText(
            folder.File("generate.yaml"),
            """
            problems: problems.jsonl
            model: m
            endpoints:
              - http://a/v1
              - http://b/v1
              - { endpoint: "https://c/v1", model: big, weight: 2.5, api_key_env: C_KEY, concurrency: 100, rpm: 500, tpm: 90_000, price: { input: 0.5, output: 2 } }
            rpm: 60
            tpm: 10000
            hedge_after: 30
            max_tokens_total: 5e6
            max_cost: 12.5
            price_per_million: { input: 0.5, output: 2 }
            """
        );

        Check(Bind(YamlConfig.ReadFile(folder.File("generate.yaml"))));
    }

    [Fact]
    public void CommandLine_SeveralEndpointsAndBudget_AreBoundAlike() =>
        Check(
            Bind(
                "--problems",
                "problems.jsonl",
                "--model",
                "m",
                "--endpoints",
                "http://a/v1,http://b/v1",
                "{ endpoint: 'https://c/v1', model: big, weight: 2.5, api_key_env: "
                    + "C_KEY, concurrency: 100, rpm: 500, tpm: 90_000, price: { input: 0.5, output: 2 } }",
                "--rpm",
                "60",
                "--tpm",
                "10000",
                "--hedge-after",
                "30",
                "--max-tokens-total",
                "5e6",
                "--max-cost",
                "12.5",
                "--price-per-million",
                "{ input: 0.5, output: 2 }"
            )
        );

    [Theory]
    [InlineData("weight: 2", "--endpoints: endpoints[0].endpoint: is required: OpenAI-compatible endpoint, such as http://")]
    [InlineData("endpoint: 'http://a/v1', weight: 0", "--endpoints: endpoints[0].weight: must be from 0.001 to 1000000")]
    [InlineData("endpoint: 'http://a/v1', rmp: 5", "--endpoints: endpoints[0]: unknown key \"rmp\"; did you mean \"rpm\"?")]
    public void CommandLine_WrongEndpoint_IsNamed(string endpoint, string expected)
    {
        var error = Assert.Throws<InvalidInputException>(() => Bind("--problems", "p", "--model", "m", "--endpoints", $"{{ {endpoint} }}"));

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    static void Check(GenerateOptions options)
    {
        Assert.Equal(Expected, options.Endpoints);
        Assert.Equal((60, 10_000, 30.0), (options.Rpm, options.Tpm, options.HedgeAfter));
        Assert.Equal((5_000_000, 12.5, Price), (options.MaxTokensTotal, options.MaxCost, options.PricePerMillion));
    }

    static GenerateOptions Bind(params string[] arguments)
    {
        var command = new Command("generate");
        var tokens = new OptionTokens(typeof(GenerateOptions), command);
        return Bind(tokens.Read(command.Parse(arguments)));
    }

    static GenerateOptions Bind(ConfigMap settings)
    {
        var problems = new ProblemList();
        var options = new OptionBinder(problems).BindRecord(typeof(GenerateOptions), settings, "");
        problems.ThrowIfAny("generate");
        return (GenerateOptions)options!;
    }
}
