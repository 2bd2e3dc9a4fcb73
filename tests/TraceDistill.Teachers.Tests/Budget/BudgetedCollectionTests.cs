using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TraceDistill.Teachers.Options;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Budget;

public sealed class BudgetedCollectionTests
{
    static readonly TokenPrice Price = new() { Input = 500_000, Output = 1_000_000 };

    [Fact]
    public async Task RunAsync_BudgetSpent_PublishesWhatIsThereAndGoesOnWithMore()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 40);
        var observer = new RecordingObserver();

        var first = await run.RunAsync(server, options => options with { MaxTokensTotal = 800, MaxTokens = 60 }, observer);

        Assert.Equal("budget", first.StoppedBy);
        Assert.InRange(first.Count, 5, 30);
        Assert.InRange(first.Usage!.Tokens, 500, 800);
        Assert.Contains("the budget is spent", observer.Messages.Last());
        Assert.Equal(first.Count, (await run.TracesAsync()).Count);

        // Asking again gives one more at most, where the next in the queue has a shorter prompt than the one that did not fit.
        var again = await run.RunAsync(server, options => options with { MaxTokensTotal = 800, MaxTokens = 60 });
        Assert.Equal(("budget", again.Count - first.Count), (again.StoppedBy, again.Collected));
        Assert.InRange(again.Collected, 0, 1);
        Assert.InRange(again.Usage!.Tokens, first.Usage.Tokens, 800);

        // The rest for more money.
        var rest = await run.RunAsync(server, options => options with { MaxTokensTotal = 100_000, MaxTokens = 60 });

        Assert.Equal((null, 40, 40 - again.Count), (rest.StoppedBy, rest.Count, rest.Collected));
        Assert.Equal(40, CollectionRun.Seeds(server.Requests).Distinct().Count());
        Assert.Equal(40, CollectionRun.Seeds(server.Requests).Count());
        var usage = rest.Usage!.Endpoints.Single();
        Assert.InRange(usage.ProbeTokens, 1, 300);
        Assert.Equal(
            (await run.TracesAsync()).Sum(trace => trace.PromptTokens + trace.CompletionTokens) + usage.ProbeTokens,
            rest.Usage.Tokens
        );
    }

    [Fact]
    public async Task RunAsync_Prices_GiveTheCostOfAllRunsAndOfTheProgress()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 10);
        var observer = new RecordingObserver();
        await run.RunAsync(server, options => options with { Limit = 4, PricePerMillion = Price });

        var summary = await run.RunAsync(server, options => options with { PricePerMillion = Price }, observer);

        var traces = await run.TracesAsync();
        var usage = summary.Usage!.Endpoints.Single();
        Assert.Equal(10, usage.Answered);
        Assert.InRange(usage.PromptTokens - traces.Sum(trace => trace.PromptTokens), 1, usage.ProbeTokens);
        Assert.Equal((0.5 * usage.PromptTokens) + usage.CompletionTokens, summary.Usage.Cost!.Value, 1e-6);
        Assert.Matches("tokens/s, 100 ?% correct, cost [0-9]+", observer.Steps.Last().Note);
    }

    [Fact]
    public async Task RunAsync_BothLimitsAndTheCostIsSpent_NamesTheCost()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);

        var error = await Assert.ThrowsAnyAsync<InvalidInputException>(() =>
            run.RunAsync(server, options => options with { MaxTokensTotal = 1_000_000, MaxCost = 0.5, PricePerMillion = Price })
        );

        Assert.StartsWith("max_cost: is not enough for one trace", error.Message);
    }

    [Fact]
    public async Task RunAsync_BudgetBelowOneTrace_SaysSo()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 3);

        var error = await Assert.ThrowsAnyAsync<InvalidInputException>(() =>
            run.RunAsync(server, options => options with { MaxTokensTotal = 50 })
        );

        Assert.StartsWith("max_tokens_total: is not enough for one trace", error.Message);
    }

    [Fact]
    public async Task RunAsync_AnswersThatAreLost_CountAQuarterAtMostOfWhatTheyMayHaveBeen()
    {
        var lost = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("What is 1 + 2?", StringComparison.Ordinal) && Interlocked.Increment(ref lost) <= 2
                    ? Replies.Reset(context, request)
                    : Replies.Sum(context, request)
        );
        using var run = new CollectionRun(problems: 3);

        var summary = await run.RunAsync(server, options => options with { MaxTokens = 1000 });

        var usage = summary.Usage!.Endpoints.Single();
        Assert.Equal(3, summary.Count);
        Assert.InRange(usage.UnreadTokens, 2 * 10, 2 * (250 + 100));
        Assert.Equal(
            (await run.TracesAsync()).Sum(trace => trace.PromptTokens + trace.CompletionTokens) + usage.ProbeTokens + usage.UnreadTokens,
            summary.Usage.Tokens
        );
    }

    [Fact]
    public async Task RunAsync_StreamsThatBreakOff_CountWhatCameOfThem()
    {
        var lost = 0;
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                request.Contains("What is 1 + 2?", StringComparison.Ordinal) && Interlocked.Increment(ref lost) <= 2
                    ? BreakOffAsync(context)
                    : Replies.Teach(TestServer.Forms.WireForms.TraceDistill)(context, request)
        );
        using var run = new CollectionRun(problems: 3);

        var summary = await run.RunAsync(server, options => options with { MaxTokens = 100_000, Stream = true });

        // Beside the seven pieces stands the prompt, whose tokens are guessed by its bytes.
        Assert.Equal(3, summary.Count);
        Assert.InRange(summary.Usage!.Endpoints.Single().UnreadTokens, 2 * 7, 2 * (7 + 150));

        static async Task BreakOffAsync(HttpContext context)
        {
            context.Response.ContentType = "text/event-stream";
            for (var i = 0; i < 7; i++)
            {
                await context.Response.WriteAsync(
                    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n"
                );
            }
        }
    }

    [Fact]
    public async Task RunAsync_LostAnswersAndABudget_NeverAsksForMoreThanItGrants()
    {
        const int Most = 2_000;
        var asked = new ConcurrentDictionary<string, bool>();
        await using var server = await ProtocolServer.StartAsync(
            (context, request) =>
                CollectionRun.IsProbe(request) || !asked.TryAdd(request, true)
                    ? Replies.Sum(context, request)
                    : Replies.Reset(context, request)
        );
        using var run = new CollectionRun(problems: 40);

        var summary = await run.RunAsync(server, options => options with { MaxTokens = 400, MaxTokensTotal = Most });

        Assert.Equal("budget", summary.StoppedBy);
        Assert.InRange(summary.Usage!.Tokens, Most / 2, Most);
        Assert.InRange(CollectionRun.Seeds(server.Requests).Count(), 8, Most / 50);
    }

    [Fact]
    public async Task RunAsync_Shares_HaveEachTheirPartOfTheBudget()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 60);
        foreach (var index in (int[])[0, 1])
        {
            var summary = await run.RunAsync(server, options =>
                options with
                {
                    MaxTokensTotal = 1600,
                    MaxTokens = 60,
                    Partition = $"{index}/2",
                }
            );
            Assert.Equal("budget", summary.StoppedBy);
            Assert.InRange(summary.Usage!.Tokens, 400, 800);
        }
    }

    [Fact]
    public async Task RunAsync_SeveralEndpoints_ShareTheWorkAndTheUsageNamesEach()
    {
        await using var first = await ProtocolServer.StartAsync(Replies.Sum);
        await using var second = await ProtocolServer.StartAsync(Replies.Sum);
        using var run = new CollectionRun(problems: 40);
        using var alone = new CollectionRun(problems: 40);

        var summary = await run.RunAsync(first, options => options with { Endpoint = null, Endpoints =
                [
                    new() { Endpoint = first.Url },
                    new()
                    {
                        Endpoint = second.Url,
                        Model = "teacher-b",
                        Price = Price,
                    },
                ] });
        await alone.RunAsync(first);

        var traces = await run.TracesAsync();
        Assert.Equal((40, 40), (summary.Count, summary.Correct));
        Assert.All(traces, trace => Assert.Equal("teacher", trace.Teacher));
        Assert.Equal(
            (await alone.TracesAsync()).Select(trace => (trace.Id, trace.Generation)),
            traces.Select(trace => (trace.Id, trace.Generation))
        );
        Assert.All(second.Requests, request =>
            Assert.Equal("teacher-b", JsonDocument.Parse(request).RootElement.GetProperty("model").GetString())
        );
        Assert.Equal(
            [$"teacher at {first.Url}", $"teacher-b at {second.Url}"],
            summary.Usage!.Endpoints.Select(endpoint => endpoint.Endpoint)
        );
        Assert.All(summary.Usage.Endpoints, endpoint => Assert.InRange(endpoint.Answered, 5, 35));
        Assert.Equal([false, true], summary.Usage.Endpoints.Select(endpoint => endpoint.Cost is not null));
    }
}
