using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Evaluation;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class EvaluateVerbTests : IDisposable
{
    readonly CliHarness _cli = new() { Stages = [new EvaluateVerb()], Clock = TimeProvider.System };

    public void Dispose() => _cli.Dispose();

    /// <summary>An answer cut off within a reasoning that the prompt opened has no mark of that: a small request before shows it.</summary>
    [Theory]
    [InlineData("Hm</think>OK", 0)]
    [InlineData("OK", 1)]
    public async Task Evaluate_EndpointThatCutsAnAnswerOff_IsNoAnswerWherePromptsOpenTheReasoning(string shown, double accuracy)
    {
        const string CutOff = """{"choices":[{"message":{"content":"Two and two. The answer is 4."},"finish_reason":"length"}]}""";
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
            {
                var isProblem = request.Contains("\"max_tokens\":60", StringComparison.Ordinal);
                return (isProblem ? Replies.Json(CutOff) : Replies.Completion(shown))(context, request);
            }
        );
        server.ScriptsProbe = true;
        var problems = _cli.Write("problems.jsonl", """{"problem":"What is 2 + 2?","answer":"4"}""" + "\n");
        string[] arguments = ["evaluate", "--endpoint", server.Url, "--model", "teacher", "--problems", problems, "--max-tokens", "60"];

        Assert.True(await _cli.RunAsync([.. arguments, "--out", _cli.File("scores")]) == 0, _cli.Error);

        var scores = EvaluationResult.Read(Path.Combine(_cli.File("scores"), EvaluationResult.FileName)).Models["model"];
        Assert.Equal((accuracy, 1), (scores.Accuracy, scores.TruncatedShare));
    }
}
