using System.Text.Json;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

/// <summary>Verdicts belong to the answers that they were made with.</summary>
public sealed class RegradingTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_AnswersOfAnotherField_GradesWhatIsThereAnewAndAsksForNothing(bool isPublished)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 6);
        Write(run, keyOf: i => i < 2 ? $"{i + 2}" : "100");
        await run.RunAsync(server, options => options with { Limit = isPublished ? null : 3 });
        Assert.All(await run.TracesAsync(), trace => Assert.Equal(("correct", $"{Number(trace.ProblemId) + 2}"), Graded(trace)));
        server.Requests.Clear();
        server.KeepsRequests = true;
        var observer = new RecordingObserver();

        await run.RunAsync(server, options => options with { AnswerField = "key" }, observer);

        Assert.Equal(isPublished ? 0 : 3, CollectionRun.Seeds(server.Requests).Count());
        Assert.All(await run.TracesAsync(), trace =>
            Assert.Equal(Number(trace.ProblemId) < 2 ? ("correct", $"{Number(trace.ProblemId) + 2}") : ("incorrect", "100"), Graded(trace))
        );
        Assert.Contains(observer.Messages, line => line.Contains("graded anew, and not asked for again", StringComparison.Ordinal));

        // And it is done once.
        var again = new RecordingObserver();
        await run.RunAsync(server, options => options with { AnswerField = "key" }, again);
        Assert.DoesNotContain(again.Messages, line => line.Contains("graded anew", StringComparison.Ordinal));
    }

    static (string Verdict, string Answer) Graded(Data.Traces.Trace trace) => (trace.Verdict, trace.ExpectedAnswer);

    static int Number(string problem) => int.Parse(problem[1..], System.Globalization.CultureInfo.InvariantCulture);

    static void Write(CollectionRun run, Func<int, string> keyOf) =>
        File.WriteAllLines(
            run.Problems,
            Enumerable
                .Range(0, 6)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            id = $"p{i:000}",
                            problem = $"What is {i} + 2?",
                            answer = $"{i + 2}",
                            key = keyOf(i),
                        }
                    )
                )
        );
}
