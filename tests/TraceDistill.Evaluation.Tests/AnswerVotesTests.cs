using Xunit;

namespace TraceDistill.Evaluation.Tests;

public class AnswerVotesTests
{
    [Fact]
    public void Winner_NoSampleWithAnAnswer_HasNoConfidence()
    {
        var votes = new AnswerVotes([Sample(null, false), Sample(null, false)]);

        Assert.Equal((0.0, false), votes.Winner());
        Assert.Equal(2, votes.Unanswered);
    }

    [Fact]
    public void Winner_MostFrequentAnswer_HasItsShareOfAllSamples() =>
        Assert.Equal(
            (0.5, true),
            new AnswerVotes([Sample("7", false), Sample("8", true), Sample("8", true), Sample(null, false)]).Winner()
        );

    static EvaluationRecord Sample(string? answer, bool correct) =>
        new()
        {
            Id = "x",
            ProblemId = "p",
            Family = "f",
            SampleIndex = 1,
            Correct = correct,
            Answer = answer,
            Expected = "8",
            Tokens = 3,
            FinishReason = "stop",
        };
}
