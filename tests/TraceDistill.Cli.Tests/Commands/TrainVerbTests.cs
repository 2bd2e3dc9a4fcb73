using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.Models.Cpu;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class TrainVerbTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly CliHarness _cli = new() { Stages = [new TrainVerb()] };

    public void Dispose() => _cli.Dispose();

    [Theory]
    [InlineData("error: --lora-r: is required where another setting of adapters is given: their rank, such as 16", "--use-dora")]
    [InlineData("error: --lora-target-modules: all-linear is all of them: leave out either it or the others", "--lora-r", "8", "--lora-target-modules", "q_proj,all-linear")]
    [InlineData("error: --frozen-parameters: \"(\" is not a regular expression", "--frozen-parameters", "(")]
    public async Task Train_AdapterSettingsThatDoNotGoTogether_AreToldInOneLine(string message, params string[] settings)
    {
        Assert.Equal(2, await _cli.RunAsync(["train", "--problems", _cli.Write("problems.jsonl", ""), "--student", Teacher, "--max-steps", "5", "--out", _cli.File("out"), .. settings]));

        Assert.Equal(message, _cli.Error.TrimEnd());
        Assert.False(Path.Exists(_cli.File("out")));
    }

    [Fact]
    public async Task Train_PrecisionThatTheProcessorDoesNotHave_IsToldOnce()
    {
        const string Problem = """{"problem": "What is 1 + 1?", "answer": "2", "solution": "one and one"}""";
        string[] arguments =
        [
            "train", "--problems", _cli.Write("problems.jsonl", Problem + "\n"), "--tokenizer", Teacher,
            "--architecture", "{ hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 }", "--max-steps", "1",
        ];

        Assert.True(await _cli.RunAsync([.. arguments, "--compute-dtype", "bfloat16", "--out", _cli.File("out")]) == 0, _cli.Error);

        Assert.Equal(ComputeDtypes.MultipliesBFloat16 ? 0 : 1, _cli.Error.Split("does not multiply bfloat16").Length - 1);
    }
}
