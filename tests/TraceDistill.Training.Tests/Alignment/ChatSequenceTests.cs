using TraceDistill.Data.Problems;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

public sealed class ChatSequenceTests
{
    static readonly ChatMessage[] Question = [new("system", "Think."), new("user", "1+1?")];

    /// <summary>The student writes the opening tag where its own template does not, whatever the writer's template did.</summary>
    [Theory]
    [InlineData("", "<think>b</think>c", "<think>b</think>c<|end|>")]
    [InlineData("", "b</think>c", "<think>b</think>c<|end|>")]
    [InlineData("", "c", "c<|end|>")]
    [InlineData("<think>\n", "<think>\nb</think>c", "b</think>c<|end|>")]
    [InlineData("<think>\n", "<think>b</think>c", "b</think>c<|end|>")]
    [InlineData("<think>\n", "b</think>c", "b</think>c<|end|>")]
    public void FromText_ThinkTags_SuitTheStudentsTemplate(string opened, string completion, string trained)
    {
        using var student = new StudentFiles(opened);

        var tokens = student.Chat.FromText(Question, completion);

        Assert.Equal(("s:Think.;u:1+1?;a:" + opened, trained), student.Text(tokens));
        Assert.Null(tokens.Soft);
    }

    [Fact]
    public void FromSolution_Problem_IsReasoningThenAnswerAfterTheQuestion()
    {
        using var student = new StudentFiles();
        var problem = new Problem
        {
            Id = "p",
            Text = "1+1?",
            Answer = "2",
            Solution = "one more",
            Family = "f",
        };

        Assert.Equal(("u:1+1?;a:", "<think>one more</think>2<|end|>"), student.Text(student.Chat.FromSolution(problem)));
    }

    [Theory]
    [InlineData("""{"eos_token":"<|stop|>"}""", 257)]
    [InlineData("{}", 256)]
    public void EndOfSequence_OfSeveral_IsTheTokenizersOwnOrTheFirst(string config, int end)
    {
        using var student = new StudentFiles(config: config);

        Assert.Equal(end, student.Chat.FromText(Question, "c").Ids[^1]);
    }

    [Fact]
    public void Create_TokenizerWithoutAnEnd_SaysWhatToSet()
    {
        using var directory = new TraceDistill.Tests.Support.TemporaryDirectory();
        Text.Tokenizers.BpeTrainer.Train([], 256, [], directory.Path);
        var tokenizer = Text.Tokenizers.Tokenizer.Load(directory.Path);

        var error = Assert.Throws<InvalidInputException>(() =>
            new ChatSequence(tokenizer, Text.Templates.ChatTemplate.Parse("", "template"))
        );

        Assert.Contains("set eos_token", error.Message);
    }
}
