using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Dialects;

public sealed class DialectAdaptationTests
{
    static readonly SamplingSettings Sampling = new()
    {
        MaxTokens = 64,
        TopLogprobs = 3,
        Seed = 8,
    };

    [Theory]
    [InlineData("vllm", "extra fields not permitted: return_token_ids", "return_token", "top_k")]
    [InlineData(
        "vllm",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "\"max_tokens\"",
        "max_completion_tokens"
    )]
    [InlineData("vllm", "Unknown field min_p", "min_p", "top_k")]
    [InlineData("openai", "Unsupported parameter: 'temperature' is not supported with this model.", "\"temperature\"", "top_p")]
    [InlineData("openai", "Unsupported parameter: 'top_p' is not supported with this model.", "\"top_p\"", "temperature")]
    [InlineData("compatible", "Unrecognized request argument supplied: seed", "\"seed\"", "temperature")]
    public async Task CompleteAsync_FieldRefusedByName_IsLeftOutFromThenOn(string dialect, string refusal, string absent, string present)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Error(400, refusal), Replies.Completion("ok"));
        var client = Client(server, dialect);

        await client.CompleteAsync([new("user", "?")], Sampling, TestTeacher.Token);
        await client.CompleteAsync([new("user", "?")], Sampling, TestTeacher.Token);

        var requests = server.Requests.ToArray();
        Assert.Equal(3, requests.Length);
        Assert.All(requests.Skip(1), request => Assert.DoesNotContain(absent, request));
        Assert.All(requests.Skip(1), request => Assert.Contains(present, request));
    }

    [Fact]
    public async Task CompleteAsync_EveryOptionalFieldRefused_EndsWithTheLast()
    {
        await using var server = await ProtocolServer.StartAsync(
            Replies.Error(422, "return_token max_completion_tokens top_k min_p repetition_penalty: no")
        );

        await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(server, "vllm").CompleteAsync([new("user", "?")], Sampling, TestTeacher.Token)
        );

        Assert.Equal(6, server.Requests.Count);
    }

    [Fact]
    public void Without_RefusalOfSomethingElse_GivesNothing() =>
        Assert.Null(DialectAdaptation.Without(KnownDialects.Vllm, "temperature must be at most 2", Sampling));

    [Fact]
    public void Without_SettingThatIsNotNeutral_IsNotLeftOut() =>
        Assert.Null(
            DialectAdaptation.Without(
                KnownDialects.OpenAI,
                "Unsupported value: 'temperature' does not support 0.7 with this model.",
                Sampling with
                {
                    Temperature = 0.7,
                }
            )
        );

    static TeacherClient Client(ProtocolServer server, string dialect) =>
        new(
            TeacherHttpHandler.CreateClient(TeacherHttpHandler.Create(1)),
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = server.Url,
                    Model = "teacher",
                    Dialect = dialect,
                }
            ),
            TimeProvider.System
        );
}
