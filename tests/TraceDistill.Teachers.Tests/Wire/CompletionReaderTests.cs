using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Teachers.Wire;
using Xunit;
using static TraceDistill.TestServer.WireJson;

namespace TraceDistill.Teachers.Tests.Wire;

public sealed class CompletionReaderTests
{
    [Fact]
    public void Read_OwnServersForm_KeepsIdsTextAndUsage()
    {
        var result = CompletionReader.Read(Utf8(Completion("<think>a</think> b", 2)), topLogprobs: 2);

        Assert.Equal("a", result.Reasoning);
        Assert.Equal("b", result.Answer);
        Assert.Equal("<think>a</think> b", result.Text);
        Assert.Equal("stop", result.FinishReason);
        Assert.Equal([5, 6], result.PromptTokenIds!);
        Assert.Equal(2, result.PromptTokens);
        Assert.Equal(19, result.CompletionTokens);
        var logprobs = Assert.IsType<Data.Generation.TokenLogprobs>(result.Logprobs);
        Assert.Null(logprobs.TokenBytes);
        Assert.Equal("<think>a</think> b".Select(c => (int)c).Append(EndOfSequence), logprobs.TokenIds);
        Assert.Equal(2 * 19, logprobs.TopIds.Length);
        Assert.Equal((float)Math.Log(0.7 / 4), logprobs.TopLogprobs[1]);
    }

    [Fact]
    public void Read_TokensSpelledAsIds_TakesTheIdsAndIgnoresTheirBytes()
    {
        // vLLM: bytes are those of the spelling, the sampled token comes first, the rest in no order.
        var result = CompletionReader.Read(
            Utf8(
                WithLogprobs(
                    """
                    {"content":[{"token":"token_id:7","logprob":-2.5,"bytes":[116,111],"top_logprobs":[
                      {"token":"token_id:7","logprob":-2.5,"bytes":[116,111]},
                      {"token":"token_id:9","logprob":-1.5,"bytes":[116,111]},
                      {"token":"token_id:8","logprob":-0.5,"bytes":[116,111]}]}]}
                    """
                )
            ),
            topLogprobs: 3
        );

        Assert.Null(result.Logprobs!.TokenBytes);
        Assert.Equal([7], result.Logprobs.TokenIds);
        Assert.Equal([-2.5f], result.Logprobs.Logprobs);
        Assert.Equal([8, 9, 7], result.Logprobs.TopIds);
        Assert.Equal([-0.5f, -1.5f, -2.5f], result.Logprobs.TopLogprobs);
    }

    [Fact]
    public void Read_MoreAlternativesThanAskedFor_KeepsTheLikeliest()
    {
        var result = CompletionReader.Read(Utf8(WithLogprobs(Ids(7, -3, (7, -3), (1, -1), (2, -0.75)))), topLogprobs: 2);

        Assert.Equal([2, 1], result.Logprobs!.TopIds);
        Assert.Equal([7], result.Logprobs.TokenIds);
    }

    [Fact]
    public void Read_RepeatedAlternatives_KeepsEachOnceWithItsGreaterLogprob()
    {
        var result = CompletionReader.Read(Utf8(WithLogprobs(Ids(1, -1, (1, -1), (2, -3), (2, -2), (1, -1)))), topLogprobs: 4);

        Assert.Equal([1, 2, -1, -1], result.Logprobs!.TopIds);
        Assert.Equal([-1, -2, float.NegativeInfinity, float.NegativeInfinity], result.Logprobs.TopLogprobs);
    }

    [Fact]
    public void Read_AlternativesAtTheFloor_LeavesThemOut()
    {
        var result = CompletionReader.Read(Utf8(WithLogprobs(Ids(1, 0, (1, 0), (2, -9999), (3, -9999)))), topLogprobs: 3);

        Assert.Equal([1, -1, -1], result.Logprobs!.TopIds);
    }

    /// <summary>Some servers list the end of the sequence without its name and probability; the rows before it are right.</summary>
    [Theory]
    [InlineData("\"bytes\":[],", "", 1)]
    [InlineData("\"bytes\":null,", "", 1)]
    [InlineData("\"bytes\":[],", ",\"token_ids\":[7,508]", 2)]
    public void Read_EndOfTheSequenceWithoutANameAndAProbability_KeepsTheRowsBeforeIt(string bytes, string behind, int rows)
    {
        var response = $$"""
            {"choices":[{"message":{"content":"a"},"finish_reason":"stop","logprobs":{"content":[
              {"token":"token_id:7","logprob":-0.5,"bytes":[116],"top_logprobs":[{"token":"token_id:7","logprob":-0.5,"bytes":[116]}]},
              {"token":"",{{bytes}}"logprob":-9999.0,"top_logprobs":[]}]}{{behind}}}],"usage":{"completion_tokens":2} }
            """;

        var logprobs = CompletionReader
            .Read(Utf8(response), topLogprobs: 2, new ReplyForm(ListsEndOfSequence: true, OpensThinking: false, Markers: null))
            .Logprobs!;

        Assert.Equal(new[] { 7, 508 }[..rows], logprobs.TokenIds);
        Assert.Equal(new[] { 7, -1, -1, -1 }[..(2 * rows)], logprobs.TopIds);
    }

    [Fact]
    public void Read_EntryWithoutANameAmongOthers_CostsTheLogprobs()
    {
        var row = """{"token":"token_id:7","logprob":-0.5,"top_logprobs":[{"token":"token_id:7","logprob":-0.5}]}""";

        var result = CompletionReader.Read(
            Utf8(WithLogprobs($$"""{"content":[{{row}},{"token":"","logprob":-9999,"top_logprobs":[]},{{row}}]}""")),
            topLogprobs: 2
        );

        Assert.Null(result.Logprobs);
        Assert.Contains("without a name", result.LogprobLack!.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_BytesWithoutIds_NumbersTokensByTheirBytes()
    {
        var result = CompletionReader.Read(
            Utf8(
                WithLogprobs(
                    """
                    {"content":[
                      {"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-0.5,"bytes":[98]},{"token":"a","logprob":-1,"bytes":[97]}]},
                      {"token":"b","logprob":-0.25,"bytes":[98],"top_logprobs":[{"token":"b","logprob":-0.25,"bytes":[98]},{"token":"?","logprob":-3,"bytes":null}]}]}
                    """
                )
            ),
            topLogprobs: 2
        );

        var logprobs = result.Logprobs!;
        byte[] Bytes(int id) => logprobs.TokenBytes![id];
        Assert.Equal("a"u8, Bytes(logprobs.TokenIds[0]));
        Assert.Equal("b"u8, Bytes(logprobs.TokenIds[1]));
        Assert.Equal("b"u8, Bytes(logprobs.TopIds[0]));
        Assert.Equal("a"u8, Bytes(logprobs.TopIds[1]));
        Assert.Equal(logprobs.TokenIds[1], logprobs.TopIds[2]);
        Assert.Equal(-1, logprobs.TopIds[3]);
    }

    [Theory]
    [InlineData("""{"content":"ab"}""", true)]
    [InlineData("""{"content":" ab\n"}""", true)]
    [InlineData("""{"reasoning_content":"a","content":"b"}""", true)]
    [InlineData("""{"reasoning_content":"thought at length","content":"ab"}""", false)]
    [InlineData("""{"reasoning_content":"ab","content":"the answer"}""", false)]
    [InlineData("""{"content":"ab\uFFFD"}""", true)]
    public void Read_BytesThatDoNotSpellTheText_GiveNoLogprobs(string message, bool hasLogprobs)
    {
        var result = CompletionReader.Read(
            Utf8(
                WithLogprobs(
                    """
                    {"content":[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]},{"token":"b","logprob":-1,"bytes":[98],"top_logprobs":[]}]}
                    """,
                    message
                )
            ),
            topLogprobs: 2
        );

        Assert.Equal(hasLogprobs, result.Logprobs is not null);
    }

    [Theory]
    [InlineData("""{"content":[{"token":"a","logprob":-1,"top_logprobs":[]}]}""")]
    [InlineData(
        """{"content":[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]},{"token":"\uFFFD","logprob":-1,"bytes":[239,191,189],"top_logprobs":[]}]}"""
    )]
    public void Read_TokensKnownByTextAlone_GivesNoLogprobs(string logprobs) =>
        Assert.Null(CompletionReader.Read(Utf8(WithLogprobs(logprobs)), topLogprobs: 2).Logprobs);

    [Theory]
    [InlineData("""{"content":"<think>a\n</think>\nb"}""", "a", "b")]
    [InlineData("""{"content":"a</think>b"}""", "a", "b")]
    [InlineData("""{"content":"<think>cut off"}""", "cut off", "")]
    [InlineData("""{"content":"b"}""", "", "b")]
    [InlineData("""{"content":"b","reasoning":"a"}""", "a", "b")]
    [InlineData("""{"reasoning_content":"a","content":"b","reasoning":null}""", "a", "b")]
    [InlineData("""{"content":null,"reasoning":"a"}""", "a", "")]
    public void Read_ReasoningInAnyOfItsPlaces_IsPartedFromTheAnswer(string message, string reasoning, string answer)
    {
        var result = CompletionReader.Read(Utf8(WithLogprobs("null", message)), topLogprobs: 0);

        Assert.Equal((reasoning, answer), (result.Reasoning, result.Answer));
    }

    [Theory]
    [InlineData("repetition")]
    [InlineData("abort")]
    [InlineData("network_error")]
    [InlineData("insufficient_system_resource")]
    public void Read_UnfinishedGeneration_KeepsTheServersOwnWord(string reason) =>
        Assert.Equal(
            reason,
            CompletionReader
                .Read(Utf8($$"""{"choices":[{"message":{"content":"x"},"finish_reason":"{{reason}}"}]}"""), topLogprobs: 0)
                .FinishReason
        );

    [Fact]
    public void Read_GenerationThatEndedInAnError_IsNoTrace() =>
        Assert.Throws<WireFormatException>(() =>
            CompletionReader.Read("""{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}"""u8, topLogprobs: 0)
        );

    [Theory]
    [InlineData("""{"message":{"content":"x"}}""", "x")]
    [InlineData("""{"message":{"content":"x"},"finish_reason":"content_filter","logprobs":null}""", "x")]
    [InlineData("""{"message":{"role":"assistant"},"finish_reason":"content_filter","logprobs":null}""", "")]
    [InlineData("""{"message":{"content":""},"finish_reason":"refusal"}""", "")]
    public void Read_NoLogprobsThoughAskedFor_KeepsTheText(string choice, string text)
    {
        var result = CompletionReader.Read(Utf8($$"""{"choices":[{{choice}}]}"""), topLogprobs: 2);

        Assert.Equal(text, result.Text);
        Assert.Null(result.Logprobs);
    }

    [Theory]
    [InlineData("null", "returned null for the logprob")]
    [InlineData("\"NaN\"", "returned \"NaN\" for the logprob")]
    [InlineData("\"a whole paragraph\\nof the server's own text\"", "returned a string for the logprob")]
    [InlineData("\"two\\nlines\"", "returned a string for the logprob")]
    [InlineData("{\"a\":[1]}", "returned not a number for the logprob")]
    [InlineData("NaN", "returned \"NaN\" for the logprob")]
    [InlineData("-Infinity", "returned \"-Infinity\" for the logprob")]
    [InlineData("0.5", "never above 0")]
    public void Read_LogprobThatIsNone_CostsTheLogprobsAndNotTheAnswer(string value, string expected)
    {
        var json = WithLogprobs(
            $$"""{"content":[{"token":"a","id":1,"logprob":{{value}},"top_logprobs":[]},{"token":"b","id":2,"logprob":-1,"top_logprobs":[]}]}""",
            """{"content":"NaN \"-Infinity\\"}"""
        );

        var result = CompletionReader.Read(Utf8(json), topLogprobs: 2);

        Assert.Equal("NaN \"-Infinity\\", result.Text);
        Assert.Null(result.Logprobs);
        Assert.False(result.LogprobLack!.IsPartial);
        Assert.Contains(expected, result.LogprobLack.Reason);
        Assert.DoesNotContain('\n', result.LogprobLack.Reason);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"NaN\"")]
    [InlineData("NaN")]
    [InlineData("-Infinity")]
    public void Read_AlternativeWithoutALogprob_CostsThatAlternative(string value)
    {
        var result = CompletionReader.Read(
            Utf8(
                WithLogprobs(
                    $$"""
                    {"content":[{"id":1,"logprob":-0.5,"top_logprobs":[{"id":1,"logprob":-0.5},{"id":2,"logprob":{{value}}},{"id":3,"logprob":-2}]},{"id":4,"logprob":-0.25,"top_logprobs":[{"id":4,"logprob":-0.25}]}]}
                    """
                )
            ),
            topLogprobs: 3
        );

        Assert.Null(result.LogprobLack);
        Assert.Equal([1, 3, -1, 4, -1, -1], result.Logprobs!.TopIds);
        Assert.Equal([-0.5f, -0.25f], result.Logprobs.Logprobs);
    }

    [Theory]
    [InlineData(
        """{"choices":[{"message":{"content":"x"},"token_ids":[1,2],"logprobs":{"content":[{"id":1,"logprob":-1}]}}]}""",
        "not of the same tokens",
        false
    )]
    [InlineData(
        """{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"id":1,"logprob":-1},{"token":"a","logprob":-1}]}}]}""",
        "without an id",
        false
    )]
    [InlineData("""{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"id":1}]}}]}""", "without a logprob", false)]
    [InlineData("""{"choices":[{"message":{"content":"x"},"logprobs":null}]}""", "returned no logprobs", false)]
    [InlineData(
        """{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"a","logprob":-1}]}}]}""",
        "by their text alone",
        false
    )]
    [InlineData(
        """{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"a","logprob":-1,"bytes":[97]},{"token":"?","logprob":-1,"bytes":[239,191,189]}]}}]}""",
        "parts of characters",
        true
    )]
    [InlineData(
        """{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"id":1,"logprob":-1}]}}],"usage":{"completion_tokens":4}}""",
        "for 1 of 4 tokens",
        true
    )]
    public void Read_LogprobsThatCannotBeTaken_SaysWhyAndKeepsTheAnswer(string json, string expected, bool isPartial)
    {
        var result = CompletionReader.Read(Utf8(json), topLogprobs: 2);

        Assert.Equal("x", result.Answer);
        Assert.Null(result.Logprobs);
        Assert.Contains(expected, result.LogprobLack!.Reason);
        Assert.Equal(isPartial, result.LogprobLack.IsPartial);
    }

    // The bodies are Mistral's: parts of text, thinking as a list of parts again or, in some versions, as a text.
    [Theory]
    [InlineData(
        """{"content":[{"type":"thinking","thinking":[{"type":"text","text":"perhaps \\boxed{5}? "},{"type":"text","text":"no."}],"closed":true},{"type":"text","text":"It is "},{"type":"text","text":"4."}]}""",
        "perhaps \\boxed{5}? no.",
        "It is 4."
    )]
    [InlineData("""{"content":[{"type":"thinking","thinking":"cut off"}]}""", "cut off", "")]
    [InlineData("""{"content":[{"type":"text","text":"It is 4."},{"type":"image_url","image_url":{"url":"x"}}]}""", "", "It is 4.")]
    [InlineData("""{"content":[]}""", "", "")]
    public void Read_ContentAsAList_PartsThinkingFromText(string message, string reasoning, string answer)
    {
        var result = CompletionReader.Read(Utf8(WithLogprobs("null", message)), topLogprobs: 0);

        Assert.Equal((reasoning, answer), (result.Reasoning, result.Answer));
        Assert.Equal(reasoning.Length > 0 ? $"<think>{reasoning}</think>{answer}" : answer, result.Text);
    }

    [Theory]
    [InlineData(
        """{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"calc","arguments":"{\"a\":2}"}}]}""",
        """[{"id":"c","type":"function","function":{"name":"calc","arguments":"{\"a\":2}"}}]"""
    )]
    [InlineData(
        """{"tool_calls":[{"function":{"name":"calc","arguments":{"a":2}}},{"id":"d","function":{"name":"f","arguments":""}}]}""",
        """[{"type":"function","function":{"name":"calc","arguments":"{\"a\":2}"}},{"id":"d","type":"function","function":{"name":"f","arguments":""}}]"""
    )]
    [InlineData(
        """{"content":"","function_call":{"name":"calc","arguments":"{}"}}""",
        """[{"type":"function","function":{"name":"calc","arguments":"{}"}}]"""
    )]
    [InlineData("""{"content":"4","tool_calls":[]}""", null)]
    [InlineData("""{"content":"4","tool_calls":null}""", null)]
    public void Read_ToolCalls_AreKept(string message, string? expected) =>
        Assert.Equal(expected, CompletionReader.Read(Utf8(WithLogprobs("null", message)), topLogprobs: 0).ToolCalls);

    [Theory]
    [InlineData("""{"id":null,"choices":null,"error":{"message":"upstream overloaded","code":503}}""", "upstream overloaded", "503")]
    [InlineData("""{"choices":[],"error":{"message":"upstream overloaded","code":503}}""", "upstream overloaded", "503")]
    [InlineData("""{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"error":{"message":"lost"}}""", "lost", null)]
    [InlineData(
        """{"choices":[{"message":{"content":"x"},"finish_reason":"error","error":{"message":"upstream connection lost","code":502}}]}""",
        "upstream connection lost",
        "502"
    )]
    [InlineData("""{"choices":[{"message":{"content":"x"}}],"error":"lost"}""", "lost", null)]
    public void Read_ErrorBesideChoices_IsThatError(string json, string message, string? code)
    {
        var error = Assert.Throws<ReportedErrorException>(() => CompletionReader.Read(Utf8(json), topLogprobs: 0)).Error;

        Assert.Equal((message, code), (error.Message, error.Code));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"\"")]
    [InlineData("{}")]
    [InlineData("false")]
    public void Read_EmptyErrorBesideChoices_IsNone(string error) =>
        Assert.Equal(
            "x",
            CompletionReader
                .Read(Utf8($$$$"""{"choices":[{"message":{"content":"x"},"error":{{{{error}}}}}],"error":{{{{error}}}}}"""), topLogprobs: 0)
                .Answer
        );

    [Theory]
    [InlineData("\\ud83d", "\uFFFD")]
    [InlineData("a \\ud83d\\n\\\"\\u00e9é\\ude00 b", "a \uFFFD\n\"éé\uFFFD b")]
    [InlineData("\\ud83d\\ude00 \\udE00", "😀 \uFFFD")]
    public void Read_HalfASurrogatePair_IsUnknownTextAndNotTheEndOfTheAnswer(string escaped, string expected) =>
        Assert.Equal(
            expected,
            CompletionReader.Read(Utf8($$$"""{"choices":[{"message":{"content":"{{{escaped}}}"}}]}"""), topLogprobs: 0).Text
        );

    [Fact]
    public void Read_FinishReasonOfControlCharactersAtLength_IsOneShortLine()
    {
        var reason = CompletionReader
            .Read(
                Utf8($$"""{"choices":[{"message":{"content":"x"},"finish_reason":"a\n\u001b[31m{{new string('z', 5000)}}"}]}"""),
                topLogprobs: 0
            )
            .FinishReason;

        Assert.StartsWith("a [31mzz", reason, StringComparison.Ordinal);
        Assert.InRange(reason.Length, 90, 101);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"\"")]
    public void Read_NoFinishReason_IsUnknown(string reason) =>
        Assert.Equal(
            "unknown",
            CompletionReader
                .Read(Utf8($$"""{"choices":[{"message":{"content":"x"},"finish_reason":{{reason}}}]}"""), topLogprobs: 0)
                .FinishReason
        );

    [Theory]
    [InlineData("length")]
    [InlineData("network_error")]
    [InlineData("insufficient_system_resource")]
    public void Read_BrokenOffBehindAPromptThatOpensTheReasoning_HasNoAnswer(string reason)
    {
        var result = CompletionReader.Read(
            Utf8($$"""{"choices":[{"message":{"content":"so \\boxed{5}"},"finish_reason":"{{reason}}"}]}"""),
            topLogprobs: 0,
            new ReplyForm(ListsEndOfSequence: true, OpensThinking: true)
        );

        Assert.Equal(("so \\boxed{5}", "", reason), (result.Reasoning, result.Answer, result.FinishReason));
    }

    /// <summary>Figures beside an answer that are none do not cost the answer.</summary>
    [Theory]
    [InlineData("""{"prompt_tokens":2147483647,"completion_tokens":2147483647}""", 0, 0)]
    [InlineData("""{"prompt_tokens":10.0,"completion_tokens":5.0}""", 10, 5)]
    [InlineData("""{"prompt_tokens":"10","completion_tokens":[5]}""", 0, 0)]
    [InlineData("""{"prompt_tokens":-10,"completion_tokens":1e300}""", 0, 0)]
    [InlineData("""[10,5]""", 0, 0)]
    [InlineData("\"none\"", 0, 0)]
    [InlineData("null", 0, 0)]
    public void Read_UsageInAnotherForm_IsTakenAsFarAsItCounts(string usage, int prompt, int completion)
    {
        var result = CompletionReader.Read(
            Utf8(
                $$"""{"model":{"id":"m"},"choices":[{"message":{"content":["a",{"text":"b"}]},"finish_reason":"stop"}],"usage":{{usage}}}"""
            ),
            topLogprobs: 0
        );

        Assert.Equal(("ab", prompt, completion), (result.Answer, result.PromptTokens, result.CompletionTokens));
        Assert.Null(result.Model);
    }

    [Theory]
    [InlineData("""[]""", "the response is an array instead of an object")]
    [InlineData("""{"choices":"x"}""", "choices is a string instead of an array")]
    [InlineData("""{"choices":[]}""", "no choices")]
    [InlineData("""{"id":1}""", "no choices")]
    [InlineData("""{"choices":[{"message":5}]}""", "message is a number")]
    [InlineData("""{"choices":[{"text":"legacy"}]}""", "neither content nor reasoning")]
    [InlineData("""{"choices":null}""", "no choices")]
    [InlineData("<html><body>504 Gateway</body></html>", "not JSON")]
    [InlineData("", "not JSON")]
    public void Read_AnotherShape_SaysWhatIsWrong(string json, string expected) =>
        Assert.Contains(expected, Assert.Throws<WireFormatException>(() => CompletionReader.Read(Utf8(json), topLogprobs: 2)).Message);

    [Theory]
    [InlineData(20)]
    [InlineData(1000)]
    public void Read_OneShortTokenInALongBody_ReservesNoMemoryForMoreLikeIt(int topLogprobs)
    {
        var filler = new string('x', 60_000_000);
        var body = Utf8(WithLogprobs($$"""{"content":[{"id":1,"logprob":-1}]}""", choiceExtra: $",\"other\":\"{filler}\""));
        var before = GC.GetAllocatedBytesForCurrentThread();

        var result = CompletionReader.Read(body, topLogprobs);

        Assert.Equal(1, result.Logprobs!.Count);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 32 << 20);
    }

    [Fact]
    public void Read_CutOffAnywhere_IsTruncated()
    {
        var whole = Utf8(Completion("<think>a</think> b", 2));
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Throws<WireFormatException>(() => CompletionReader.Read(whole.AsSpan(0, length), topLogprobs: 2));
        }
    }

    static string Ids(int id, double logprob, params (int Id, double Logprob)[] top) =>
        $$"""{"content":[{"id":{{id}},"logprob":{{logprob}},"top_logprobs":[{{string.Join(',', top.Select(t => $$"""{"id":{{t.Id}},"logprob":{{t.Logprob}}}"""))}}]}]}""";
}
