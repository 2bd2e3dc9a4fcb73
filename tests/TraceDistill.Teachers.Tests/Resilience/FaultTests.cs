using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Pool;
using TraceDistill.Teachers.Resilience;
using TraceDistill.Teachers.Routing;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.TestServer.Faults;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Resilience;

/// <summary>Every fault that the test server knows, once, before or instead of a good answer.</summary>
public sealed class FaultTests
{
    public static MatrixTheoryData<Fault, bool> Outlasted => new(FaultPlan.Outlasted, [false, true]);

    [Fact]
    public void Lists_OfFaults_LeaveNoneOut() =>
        Assert.Equal(
            Enum.GetValues<Fault>().Order(),
            [
                .. FaultPlan
                    .Outlasted.Concat([
                        Fault.None,
                        Fault.HugeBody,
                        Fault.NotANumber,
                        Fault.Stall,
                        Fault.MissingLogprobs,
                        Fault.DuplicatedAlternatives,
                        Fault.UnknownFinishReason,
                        Fault.OtherModel,
                    ])
                    .Order(),
            ]
        );

    [Theory]
    [MemberData(nameof(Outlasted))]
    public async Task GenerateAsync_PassingFault_EndsWithTheGoodAnswerToTheBit(Fault fault, bool isStreamed)
    {
        var expected = await AskAsync(Fault.None);

        var result = await AskAsync(fault, isStreamed);

        Assert.Equivalent(expected, result, strict: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task GenerateAsync_AnswerLongerThanAnyCanBe_CostsTheSampleAlone(bool isStreamed)
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => AskAsync(Fault.HugeBody, isStreamed));

        Assert.DoesNotContain('\n', error.Message);
        Assert.InRange(error.Message.Length, 20, 400);
    }

    [Fact]
    public async Task GenerateAsync_AStallOfMinutes_EndsWithTheGoodAnswerOfTheNextAttempt()
    {
        await using var server = await ServerAsync(Fault.Stall);
        var time = TestTeacher.Time();
        using var teacher = TestTeacher.Over(server, time);
        var pending = teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        await server.RequestArrivedAsync(TestTeacher.Token);

        time.Advance(TimeSpan.FromMinutes(5));

        Assert.Equal("3", (await pending).Answer);
    }

    [Theory]
    [InlineData(Fault.MissingLogprobs, false)]
    [InlineData(Fault.NotANumber, false)]
    [InlineData(Fault.NotANumber, true)]
    public async Task GenerateAsync_MissingOrBrokenLogprobs_IsKeptAsText(Fault fault, bool isStreamed)
    {
        var (expected, result) = (await AskAsync(Fault.None), await AskAsync(fault, isStreamed));

        Assert.Equal(expected.Text, result.Text);
        Assert.Null(result.Logprobs);
    }

    [Fact]
    public async Task GenerateAsync_RepeatedAlternatives_AreKeptOnce()
    {
        var logprobs = (await AskAsync(Fault.DuplicatedAlternatives)).Logprobs!;

        Assert.All(logprobs.TopIds.Chunk(logprobs.K), row =>
            Assert.Equal(row.Where(id => id >= 0).Distinct().Count(), row.Count(id => id >= 0))
        );
        Assert.Equal((await AskAsync(Fault.None)).Logprobs!.TokenIds, logprobs.TokenIds);
    }

    [Fact]
    public async Task GenerateAsync_UnknownFinishReason_IsKeptAsItIs() =>
        Assert.Equal("repetition", (await AskAsync(Fault.UnknownFinishReason)).FinishReason);

    [Fact]
    public async Task GenerateAsync_OtherModel_IsToldOnce()
    {
        await using var server = await ServerAsync(Fault.OtherModel);
        var observer = new RecordingObserver();
        using var teacher = TestTeacher.Over(server, TestTeacher.Time(), observer: observer);

        for (var i = 0; i < 3; i++)
        {
            await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
        }

        Assert.Contains("answers as teacher, and did as another-model before", Assert.Single(observer.Messages));
    }

    static async Task<GenerationResult> AskAsync(Fault fault, bool isStreamed = false)
    {
        await using var server = await ServerAsync(fault);
        var endpoint = TeacherEndpoint.Create(
            new EndpointSettings
            {
                Url = server.Url,
                Model = "teacher",
                Stream = isStreamed,
            }
        );
        using var teacher = new TeacherPool(endpoint, new ResilienceOptions(), TestTeacher.Time(), new RecordingObserver(), () => 0);
        return await teacher.GenerateAsync(TestTeacher.Request, TestTeacher.Token);
    }

    /// <summary>Faulty at first, good from then on.</summary>
    static Task<ProtocolServer> ServerAsync(Fault fault) =>
        ProtocolServer.StartAsync(
            (context, body) =>
            {
                var request = TeacherRequest.Parse(body);
                return FaultyReply.SendAsync(context, fault, WireForms.TraceDistill, request, ScriptedTeachers.Sum(request));
            },
            Replies.Teach(WireForms.TraceDistill)
        );
}
