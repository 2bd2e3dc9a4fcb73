using System.Text;
using System.Text.Json;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Connector;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using TraceDistill.TestServer.Forms;
using TraceDistill.TestServer.Teaching;
using Xunit;

namespace TraceDistill.Teachers.Tests.Wire;

public sealed class CompletionStreamTests
{
    const string First = """{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""";
    const string Done = "[DONE]";

    static readonly SamplingSettings Sampling = TestTeacher.Sampling with { Seed = 4 };

    public static TheoryData<string> StreamingForms => [.. WireForms.All.OfType<StreamingForm>().Select(form => form.Name)];

    [Theory]
    [MemberData(nameof(StreamingForms))]
    public async Task CompleteAsync_Streamed_IsWhatComesAsAWhole(string name)
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(WireForms.Named(name)));
        using var http = new HttpClient();
        TeacherClient Client(bool isStreamed) =>
            new(
                http,
                TeacherEndpoint.Create(
                    new EndpointSettings
                    {
                        Url = server.Url,
                        Model = "teacher",
                        Dialect = name,
                        Stream = isStreamed,
                    }
                ),
                TimeProvider.System
            );

        // The second phrasing has characters of several tokens.
        foreach (var seed in Enumerable.Range(1, 6))
        {
            var whole = await Client(isStreamed: false)
                .CompleteAsync([new("user", "What is 1 + 2?")], Sampling with { Seed = seed }, TestTeacher.Token);
            var streamed = await Client(isStreamed: true)
                .CompleteAsync([new("user", "What is 1 + 2?")], Sampling with { Seed = seed }, TestTeacher.Token);

            Assert.Equivalent(whole, streamed, strict: true);
            Assert.NotEqual(0, streamed.CompletionTokens);
        }

        // Of llama.cpp's streams tokens are missing.
        Assert.Equal(
            name == "llamacpp" ? 0 : 6,
            server.Requests.Count(request =>
                request.Contains("\"stream\":true,\"stream_options\":{\"include_usage\":true}", StringComparison.Ordinal)
            )
        );
    }

    [Fact]
    public async Task CompleteAsync_LlamaCppToBeStreamed_IsAskedForAWholeAnswerWhereLogprobsAreWantedAndSaysSoOnce()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Teach(WireForms.Named("llamacpp")));
        using var http = new HttpClient();
        var observer = new RecordingObserver();
        var client = new TeacherClient(
            http,
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = server.Url,
                    Model = "teacher",
                    Dialect = "llamacpp",
                    Stream = true,
                }
            ),
            TimeProvider.System,
            observer
        );

        foreach (var top in new[] { 3, 3, 0 })
        {
            var result = await client.CompleteAsync(
                [new("user", "What is 1 + 2?")],
                Sampling with
                {
                    TopLogprobs = top,
                },
                TestTeacher.Token
            );

            Assert.Equal((top > 0, "3"), (result.Logprobs is not null, result.Answer));
        }

        Assert.Equal(
            [false, false, true],
            server.Requests.Select(request => request.Contains("\"stream\":true", StringComparison.Ordinal))
        );
        Assert.Contains("asked for as a whole", Assert.Single(observer.Messages));
    }

    [Fact]
    public async Task ReadAsync_LlamaCppsStream_LacksTheTokensWithoutText()
    {
        // Each character of the reasoning and the answer is one token; <think>, </think> and the end are three more.
        var request = TeacherRequest.Parse(
            """{"messages":[{"role":"user","content":"1 + 2"}],"top_logprobs":3,"stream":true,"stream_options":{"include_usage":true}}"""
        );
        var answer = ScriptedTeachers.Answer(request, "a b", "3");
        var events = ((StreamingForm)WireForms.Named("llamacpp")).Events(request, answer);

        using var stream = new MemoryStream(StreamingForm.Join(events).ToArray());
        var result = await CompletionStream.ReadAsync(
            stream,
            topLogprobs: 3,
            new ReplyForm(ListsEndOfSequence: true, OpensThinking: false),
            told: null,
            TestTeacher.Token
        );

        Assert.Equal(("a b", "3", "returned logprobs for 4 of 7 tokens"), (result.Reasoning, result.Answer, result.LogprobLack!.Reason));
    }

    [Fact]
    public async Task CompleteAsync_ServerThatAnswersAsAWhole_IsUnderstood()
    {
        await using var server = await ProtocolServer.StartAsync(Replies.Completion("<think>a</think>b"));
        using var http = new HttpClient();

        var result = await Client(http, server).CompleteAsync([new("user", "?")], Sampling, TestTeacher.Token);

        Assert.Equal(("a", "b", 18), (result.Reasoning, result.Answer, result.Logprobs!.Count));
    }

    [Fact]
    public async Task CompleteAsync_ServerThatRefusesStreamOptions_IsAskedWithoutThemFromThenOn()
    {
        var form = WireForms.TraceDistill;
        await using var server = await ProtocolServer.StartAsync(
            Replies.Error(400, "stream_options: extra fields not permitted"),
            Replies.Teach(form)
        );
        using var http = new HttpClient();
        var client = Client(http, server);

        var first = await client.CompleteAsync([new("user", "1 + 2")], Sampling, TestTeacher.Token);
        await client.CompleteAsync([new("user", "1 + 2")], Sampling, TestTeacher.Token);

        Assert.Equal([true, false, false], server.Requests.Select(request => request.Contains("stream_options", StringComparison.Ordinal)));
        Assert.Equal(first.Logprobs!.Count, first.CompletionTokens);
    }

    [Theory]
    [InlineData("data: ", "\n\n")]
    [InlineData("data:", "\r\n\r\n")]
    [InlineData(": OPENROUTER PROCESSING\n\ndata: ", "\n\n")]
    [InlineData("event: message\nid: 1\ndata: ", "\n\n")]
    [InlineData("data:\n\ndata: ", "\n\n")]
    [InlineData("data:  \r\n\r\ndata: ", "\r\n\r\n")]
    [InlineData("event: ping\ndata: {\"type\":\"ping\"}\n\ndata: ", "\n\n")]
    [InlineData(": keep-alive\n:\n\ndata: ", "\n\n")]
    public async Task ReadAsync_EventsInAnySpelling_AreRead(string before, string after)
    {
        var body = string.Concat(new[] { First, Piece("four", "stop"), Done }.Select(data => before + data + after));

        Assert.Equal("four", (await ReadRawAsync(body)).Answer);
    }

    [Fact]
    public async Task ReadAsync_TextAsItComes_IsTold()
    {
        var told = new List<StreamedText>();
        await ReadAsync(
            told.Add,
            First,
            """{"choices":[{"delta":{"reasoning_content":"2 + 2"}}]}""",
            """{"choices":[{"delta":{"reasoning":" is","reasoning_content":" is"}}]}""",
            Piece("fo"),
            Piece("ur", "stop"),
            """{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}""",
            Done
        );

        Assert.Equal([new(null, "2 + 2"), new(null, " is"), new("fo", null), new("ur", null)], told.Where(text => text.Content != ""));
    }

    [Fact]
    public async Task ReadAsync_ReasoningApartUnderTwoNames_StandsOnceAndUsageIsTakenFromTheEnd()
    {
        var result = await ReadAsync(
            null,
            First,
            """{"choices":[{"delta":{"reasoning":"a","reasoning_content":"a"}}]}""",
            """{"choices":[{"delta":{"reasoning":"b","reasoning_details":[{"type":"reasoning.text","text":"b"}]}}]}""",
            Piece("c", "stop"),
            """{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}""",
            Done
        );

        Assert.Equal(
            ("ab", "c", "stop", 9, 7),
            (result.Reasoning, result.Answer, result.FinishReason, result.PromptTokens, result.CompletionTokens)
        );
    }

    [Fact]
    public async Task ReadAsync_LogprobsOfReasoningAndAnswerInListsOfTheirOwn_StandInTheOrderOfGeneration()
    {
        string Logprobs(string member, params int[] ids) =>
            $$$$"""
                {"choices":[{"delta":{"{{{{(member == "content" ? "content" : "reasoning_content")}}}}":"x"},"logprobs":{"content":[{{{{(
                    member == "content" ? Entries(ids) : ""
                )}}}}],"reasoning_content":[{{{{(member == "content" ? "" : Entries(ids))}}}}]}}]}
                """;
        var result = await ReadAsync(
            null,
            First,
            Logprobs("reasoning", 1, 2),
            Logprobs("reasoning", 3),
            Logprobs("content", 4),
            Logprobs("content", 5, 6),
            Piece("", "stop"),
            Done
        );

        Assert.Equal([1, 2, 3, 4, 5, 6], result.Logprobs!.TokenIds);

        static string Entries(int[] ids) =>
            string.Join(
                ',',
                ids.Select(id => $$"""{"token":"x","id":{{id}},"logprob":-0.5,"top_logprobs":[{"id":{{id}},"logprob":-0.5}]}""")
            );
    }

    [Fact]
    public async Task ReadAsync_TokensThatWereNotTold_LeaveTextAlone()
    {
        // As vLLM did it where its parser swallowed a token: the piece with its logprobs is missing.
        var result = await ReadAsync(
            null,
            First,
            """{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"id":1,"logprob":-0.5,"top_logprobs":[]}]}}]}""",
            Piece("b", "stop"),
            """{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}""",
            Done
        );

        Assert.Equal("ab", result.Text);
        Assert.Null(result.Logprobs);
    }

    // Old Ollama and SGLang write an empty reason into every piece, others the last one's.
    [Theory]
    [InlineData("", "stop")]
    [InlineData("stop", "stop")]
    public async Task ReadAsync_FinishReasonInEveryPiece_EndsNothing(string each, string last)
    {
        var result = await ReadAsync(
            null,
            First.Replace("null", $"\"{each}\"", StringComparison.Ordinal),
            Piece("fo", each),
            Piece("ur", each),
            Piece("", last),
            Done
        );

        Assert.Equal(("four", "stop"), (result.Answer, result.FinishReason));
    }

    [Fact]
    public async Task ReadAsync_FinishReasonInEveryPieceAndNoEnd_IsAskedForAgain() =>
        await Assert.ThrowsAsync<WireFormatException>(() => ReadAsync(null, First, Piece("fo", "stop"), Piece("ur", "stop")));

    [Fact]
    public async Task ReadAsync_HalvesOfASurrogatePairInTwoPieces_AreOneCharacter()
    {
        static string Half(string half) => $$$"""{"choices":[{"delta":{"content":"{{{half}}}"}}]}""";
        var result = await ReadAsync(null, First, Half("Two \\ud83d"), Half("\\ude00 and \\ud83d"), Piece("!", "stop"), Done);

        Assert.Equal("Two 😀 and \uFFFD!", result.Text);
    }

    [Fact]
    public async Task ReadAsync_SeveralTokensInOnePiece_AreAllRead()
    {
        var result = await ReadAsync(
            null,
            First,
            """{"choices":[{"delta":{"content":"ab"},"logprobs":{"content":[{"id":1,"logprob":-0.5,"top_logprobs":[{"id":1,"logprob":-0.5}]},{"id":2,"logprob":-0.25,"top_logprobs":[{"id":2,"logprob":-0.25}]}]}}]}""",
            """{"choices":[{"delta":{"content":"c"},"logprobs":{"content":[{"id":3,"logprob":-1,"top_logprobs":[{"id":3,"logprob":-1}]}]},"finish_reason":"stop"}]}""",
            """{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3}}""",
            Done
        );

        Assert.Equal([1, 2, 3], result.Logprobs!.TokenIds);
        Assert.Equal([-0.5f, -0.25f, -1], result.Logprobs.Logprobs);
    }

    [Fact]
    public async Task ReadAsync_ContentAsLists_IsJoined()
    {
        var result = await ReadAsync(
            null,
            First,
            """{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"2 "}]}]}}]}""",
            """{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"+ 2"}]}]}}]}""",
            Piece("It is 4.", "stop"),
            Done
        );

        Assert.Equal(("2 + 2", "It is 4."), (result.Reasoning, result.Answer));
    }

    [Fact]
    public async Task ReadAsync_ToolCallsInPieces_AreJoinedByTheirIndex()
    {
        static string Call(string call) => $$$"""{"choices":[{"delta":{"tool_calls":[{{{call}}}]}}]}""";
        var result = await ReadAsync(
            null,
            First,
            Call("""{"index":0,"id":"c","type":"function","function":{"name":"calc","arguments":""}}"""),
            Call("""{"index":0,"function":{"arguments":"{\"a\""}}"""),
            Call("""{"index":1,"id":"d","function":{"name":"f","arguments":"{}"}}"""),
            Call("""{"index":0,"function":{"arguments":":2}"}}"""),
            Piece("", "tool_calls"),
            Done
        );

        Assert.Equal(
            """[{"id":"c","type":"function","function":{"name":"calc","arguments":"{\"a\":2}"}},{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]""",
            result.ToolCalls
        );
        Assert.Equal("tool_calls", result.FinishReason);
    }

    [Fact]
    public async Task ReadAsync_EndWithoutAReason_IsWholeWhereTheServerSaysThatItIsDone()
    {
        var done = await ReadAsync(null, First, Piece("a"), Done);
        var whole = CompletionReader.Read("""{"choices":[{"message":{"content":"a"}}]}"""u8, topLogprobs: 0);

        Assert.Equal(("a", FinishReasons.Unknown), (done.Answer, done.FinishReason));
        Assert.Equal((whole.Answer, whole.FinishReason), (done.Answer, done.FinishReason));
        var error = await Assert.ThrowsAsync<WireFormatException>(() => ReadAsync(null, First, Piece("a")));
        Assert.Contains("without a finish_reason", error.Message);
    }

    [Theory]
    [InlineData("after its end", "a", "b!", "c")]
    [InlineData("not JSON", "{")]
    public async Task ReadAsync_StreamThatIsNotWhole_IsAskedForAgain(string expected, params string[] pieces)
    {
        var events = pieces.Select(piece => piece == "{" ? piece : Piece(piece.TrimEnd('!'), piece.EndsWith('!') ? "stop" : null));

        var error = await Assert.ThrowsAsync<WireFormatException>(() => ReadAsync(null, [First, .. events, Done]));

        Assert.Contains(expected, error.Message);
    }

    [Theory]
    [InlineData("""{"error":{"message":"Engine died","type":"InternalServerError","code":500}}""", FailureScope.Passing, "Engine died")]
    [InlineData("""{"error":{"message":"maximum context length exceeded","code":400}}""", FailureScope.Request, "maximum context length")]
    [InlineData("""{"error":"CUDA error"}""", FailureScope.Passing, "CUDA error")]
    [InlineData(
        """{"object":"error","message":"worker lost","type":"InternalServerError","code":500}""",
        FailureScope.Passing,
        "worker lost"
    )]
    [InlineData(
        """{"id":"x","error":{"code":"server_error","message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}""",
        FailureScope.Passing,
        "Provider disconnected"
    )]
    [InlineData(
        """{"choices":[{"delta":{},"error":{"code":502,"message":"What is a question? is lost"}}]}""",
        FailureScope.Passing,
        "… is lost"
    )]
    public async Task CompleteAsync_ErrorInTheMiddle_IsThatError(string error, FailureScope scope, string message)
    {
        await using var server = await ProtocolServer.StartAsync(
            (context, _) => Replies.Bytes(context, Body([First, Piece("a"), error, Done]), "text/event-stream")
        );
        using var http = new HttpClient();

        var failure = await Assert.ThrowsAsync<TeacherRequestException>(() =>
            Client(http, server).CompleteAsync([new("user", "What is a question?")], Sampling, TestTeacher.Token)
        );

        Assert.Equal(scope, failure.Scope);
        Assert.Contains(message, failure.Message);
    }

    static string Piece(string content, string? finishReason = null) =>
        JsonSerializer.Serialize(
            new
            {
                choices = new[]
                {
                    new
                    {
                        index = 0,
                        delta = new { content },
                        finish_reason = finishReason,
                    },
                },
            }
        );

    static byte[] Body(IEnumerable<string> events) => Encoding.UTF8.GetBytes(string.Concat(events.Select(data => $"data: {data}\n\n")));

    static TeacherClient Client(HttpClient http, ProtocolServer server) =>
        new(
            http,
            TeacherEndpoint.Create(
                new EndpointSettings
                {
                    Url = server.Url,
                    Model = "teacher",
                    Stream = true,
                }
            ),
            TimeProvider.System
        );

    static Task<GenerationResult> ReadAsync(Action<StreamedText>? told, params string[] events) =>
        ReadRawAsync(Encoding.UTF8.GetString(Body(events)), told);

    static async Task<GenerationResult> ReadRawAsync(string body, Action<StreamedText>? told = null)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(body));
        return await CompletionStream.ReadAsync(stream, topLogprobs: 3, default, told, TestTeacher.Token);
    }
}
