using TraceDistill.Cli.Evaluation;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Prompts;
using TraceDistill.Evaluation;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Evaluation;

public sealed class ModelTasksTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>System message, examples, template settings and length too, for the student and for who is measured beside it.</summary>
    [Fact]
    public async Task ForAsync_StudentOfATask_IsAskedInEveryRespectAsItWasTrained()
    {
        var task = new TaskDescription
        {
            Prompts = [TaskPrompt.Load("Reasoning/SolveBoxed")],
            System = "Be brief.",
            FewShot = new TaskExamples(1, [Problem("What is 1 + 1?", "2") with { Solution = "One and one." }]),
            ExtraBody = """{"chat_template_kwargs":{"enable_thinking":false},"min_p":0.1}""",
            MaxTokens = 8192,
        };
        task.Save(_folder.Path);
        var student = ModelSource.Parse(_folder.Path, null);
        var teacher = new ModelSource { Endpoint = "http://127.0.0.1:1/v1", Model = "t" };
        var options = new EvaluateOptions { Problems = "problems.jsonl" };
        var tasks = new ModelTasks(options, [student, teacher], ofTraces: null, SilentObserver.Instance);

        var asked = await tasks.ForAsync("student", student, TestContext.Current.CancellationToken);
        var beside = await tasks.ForAsync("teacher", teacher, TestContext.Current.CancellationToken);

        Assert.Equal((8192, null), (asked.MaxTokens, asked.TrainedOn));
        Assert.Equal("""{"chat_template_kwargs":{"enable_thinking":false}}""", asked.ExtraBody);
        var messages = asked.Render(Problem("What is 2 + 3?", "5"), 0);
        Assert.Equal(["system", "user", "assistant", "user"], messages.Select(message => message.Role));
        Assert.Equal("Be brief.", messages[0].Content);
        Assert.Contains("What is 1 + 1?", messages[1].Content);
        Assert.Contains("One and one.", messages[2].Content);
        Assert.Contains("What is 2 + 3?", messages[3].Content);
        Assert.Contains("\\boxed{", messages[3].Content);
        Assert.Equal((8192, task.ExtraBody), (beside.MaxTokens, beside.ExtraBody));
        Assert.Equal(messages, beside.Render(Problem("What is 2 + 3?", "5"), 0));
    }

    static Problem Problem(string text, string answer) =>
        new()
        {
            Id = text,
            Text = text,
            Answer = answer,
            Family = "f",
        };
}
