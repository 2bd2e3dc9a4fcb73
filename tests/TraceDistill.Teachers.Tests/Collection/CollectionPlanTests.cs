using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Data.Prompts;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Teachers.Prompts;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Collection;

public sealed class CollectionPlanTests
{
    static readonly SamplingSettings Sampling = new() { TopLogprobs = 5 };

    [Theory]
    [InlineData("jsonl")]
    [InlineData("parquet")]
    public async Task ReadAsync_SomeWanted_AreTheSameRequestsAsAmongAll(string format)
    {
        using var folder = new TemporaryDirectory();
        var path = folder.File($"problems.{format}");
        await ProblemWriter.WriteAsync(
            path,
            Enumerable
                .Range(0, 50)
                .Select(i => new Problem
                {
                    Id = $"p{i}",
                    Text = $"{i}?",
                    Answer = "1",
                    Family = "f",
                }),
            TestTeacher.Token
        );
        var plan = await PlanAsync(new ProblemSource(path, Limit: 40, new Partition(1, 3)), samples: 3);
        var all = await plan.ReadAsync(_ => true, TestTeacher.Token).ToListAsync(TestTeacher.Token);

        var some = await plan.ReadAsync(position => position % 7 == 2, TestTeacher.Token).ToListAsync(TestTeacher.Token);

        Assert.Equal(plan.Keys, all.Select(planned => TraceKey.Of(planned.Request.Id)));
        Assert.Equal(Enumerable.Range(0, plan.Keys.Length), all.Select(planned => planned.Position));
        Assert.All(all, planned =>
            Assert.True(new Partition(1, 3).Contains(planned.Problem.Id) && int.Parse(planned.Problem.Id[1..]) < 40)
        );
        Assert.Equivalent(all.Where(planned => planned.Position % 7 == 2), some, strict: true);
    }

    [Fact]
    public async Task ReadAsync_FileChangedMeanwhile_IsNoticed()
    {
        using var folder = new TemporaryDirectory();
        var path = folder.File("problems.jsonl");
        File.WriteAllLines(path, Lines(10));
        var plan = await PlanAsync(new ProblemSource(path, Limit: null, Partition.Whole), samples: 1);

        foreach (
            var lines in (string[][])
                [
                    [.. Lines(9)],
                    [.. Lines(10).Reverse()],
                ]
        )
        {
            File.WriteAllLines(path, lines);
            var error = await Assert.ThrowsAsync<InvalidInputException>(async () =>
                await plan.ReadAsync(_ => true, TestTeacher.Token).CountAsync(TestTeacher.Token)
            );
            Assert.Contains("was changed", error.Message);
        }
    }

    static IEnumerable<string> Lines(int count) =>
        Enumerable
            .Range(0, count)
            .Select(i =>
                JsonSerializer.Serialize(
                    new
                    {
                        id = $"p{i}",
                        problem = $"{i}?",
                        answer = "1",
                    }
                )
            );

    static async Task<CollectionPlan> PlanAsync(ProblemSource problems, int samples)
    {
        var prompt = await PromptTemplate.CreateAsync(PromptLibrary.Default.Load("Reasoning/Solve"), TestTeacher.Token);
        return await CollectionPlan.CreateAsync(
            problems,
            new PromptSet([(prompt, 1)], system: null, examples: null, seed: 1),
            "teacher",
            Sampling,
            samples,
            seed: 1,
            TestTeacher.Token
        );
    }
}
