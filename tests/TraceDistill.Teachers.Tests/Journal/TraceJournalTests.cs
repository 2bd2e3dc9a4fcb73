using FsCheck.Xunit;
using Microsoft.Data.Sqlite;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Generation;
using TraceDistill.Core.Storage;
using TraceDistill.Core.Traces;
using TraceDistill.Teachers.Journal;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Teachers.Tests.Journal;

public sealed class TraceJournalTests
{
    static readonly DatasetDescription Dataset = new() { Teacher = "teacher", TokenIdentity = TokenIdentity.Ids, TopK = 2 };

    [Fact]
    public async Task AddAsync_AfterReopening_TheTraceIsThereToTheBit()
    {
        using var folder = new TemporaryDirectory();
        var trace = Sample("t1");
        await using (var journal = TraceJournal.Open(folder.Path, Dataset))
        {
            await journal.AddAsync(trace);
        }

        await using var again = TraceJournal.Open(folder.Path, Dataset);
        await again.CompleteAsync();

        Assert.Equal(["t1"], again.IdsAtOpening);
        Assert.Equivalent(trace, again.Read("t1"), strict: true);
    }

    [Fact]
    public async Task AddAsync_ManyAtOnce_KeepsEachOnceInTheOrderTheyCame()
    {
        using var folder = new TemporaryDirectory();
        await using var journal = TraceJournal.Open(folder.Path, Dataset);
        var ids = Enumerable.Range(0, 1000).Select(i => $"t{i}").ToArray();

        await Task.WhenAll(ids.Concat(ids.Take(10)).Select(id => journal.AddAsync(Sample(id))));
        await journal.CompleteAsync();

        Assert.Equal(ids, journal.Ids());
    }

    [Fact]
    public async Task Open_WhileAnotherRunHasIt_SaysSo()
    {
        using var folder = new TemporaryDirectory();
        await using var first = TraceJournal.Open(folder.Path, Dataset);

        Assert.Contains("another run", Assert.Throws<InvalidInputException>(() => TraceJournal.Open(folder.Path, Dataset)).Message);
    }

    [Fact]
    public async Task Open_JournalOfOtherTraces_NamesWhatDiffers()
    {
        using var folder = new TemporaryDirectory();
        await using (TraceJournal.Open(folder.Path, Dataset))
        {
        }

        var error = Assert.Throws<InvalidInputException>(() => TraceJournal.Open(folder.Path, Dataset with { Teacher = "other", TopK = 5 }));

        Assert.Contains("teacher \"teacher\" there, \"other\" now; top_k 2 there, 5 now", error.Message);
    }

    [Fact]
    public async Task Open_FileThatIsNoJournal_LeavesItAlone()
    {
        using var folder = new TemporaryDirectory();
        await File.WriteAllTextAsync(folder.File("journal.db"), new string('x', 5000), TestContext.Current.CancellationToken);

        Assert.Contains("is no journal", Assert.Throws<InvalidInputException>(() => TraceJournal.Open(folder.Path, Dataset)).Message);
        Assert.Equal(5000, new FileInfo(folder.File("journal.db")).Length);
    }

    [Fact]
    public void Open_FolderThatIsNotThere_SaysThatItCannotBeWritten() =>
        Assert.Contains("cannot be written", Assert.Throws<InvalidInputException>(() => TraceJournal.Open("/no/such/folder", Dataset)).Message);

    [Theory]
    [InlineData(13, "disk is full")]
    [InlineData(8, "cannot be written")]
    [InlineData(11, "damaged")]
    public void Describe_WhatSqliteSays_IsTheUsersBusiness(int code, string expected) =>
        Assert.Contains(expected, Assert.IsType<InvalidInputException>(JournalFailure.Describe("out/journal.db", new SqliteException("x", code))).Message);

    [Property]
    public bool Decode_OfAnyEncodedTrace_IsTheSameTrace(
        FsCheck.NonNull<string> text, long seed, int latency, FsCheck.NormalFloat temperature, int[] prompt, float[] logprobs, bool withLogprobs)
    {
        var ids = Enumerable.Range(0, logprobs.Length).ToArray();
        var trace = Sample("t1") with
        {
            Generation = text.Get,
            Messages = [new ChatMessage("user", text.Get), new ChatMessage("system", "")],
            Seed = seed,
            LatencyMs = latency,
            Temperature = temperature.Get,
            PromptTokenIds = prompt,
            Logprobs = withLogprobs ? new TokenLogprobs { K = 1, TokenIds = ids, Logprobs = logprobs, TopIds = ids, TopLogprobs = logprobs } : null,
        };

        var decoded = TraceCodec.Decode(TraceCodec.Encode(trace));

        // A lone surrogate has no place in UTF-8, here or on the wire.
        var kept = System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text.Get));
        return decoded.Generation == kept && decoded.Messages[0].Content == kept && decoded.Seed == seed && decoded.LatencyMs == latency
            && decoded.Temperature.Equals(temperature.Get) && decoded.PromptTokenIds.SequenceEqual(prompt)
            && (decoded.Logprobs is null) == !withLogprobs
            && (decoded.Logprobs is null || (decoded.Logprobs.TopIds.SequenceEqual(ids) && decoded.Logprobs.TopLogprobs.SequenceEqual(logprobs)));
    }

    [Fact]
    public void Decode_DamagedBlob_IsInvalidData()
    {
        var blob = TraceCodec.Encode(Sample("t1"));

        Assert.Throws<InvalidDataException>(() => TraceCodec.Decode(blob[..^5]));
        Assert.Throws<InvalidDataException>(() => TraceCodec.Decode([9, .. blob[1..]]));
        Assert.Throws<InvalidDataException>(() => TraceCodec.Decode([]));
    }

    static Trace Sample(string id) => new()
    {
        Id = id,
        ProblemId = "p",
        Source = "addition",
        Messages = [new ChatMessage("user", "What is 1 + 2?")],
        Reasoning = "one and two",
        Answer = "3",
        Generation = "<think>one and two</think>3",
        ExpectedAnswer = "3",
        FinishReason = "stop",
        Verdict = "correct",
        SampleIndex = 4,
        Seed = 1L << 40,
        Temperature = 0.7,
        TopP = 0.9,
        Teacher = "teacher",
        PromptTokens = 2,
        CompletionTokens = 2,
        LatencyMs = 12,
        CreatedAt = new DateTimeOffset(2026, 1, 2, 3, 4, 5, 6, TimeSpan.Zero),
        PromptTokenIds = [1, 2],
        Logprobs = new TokenLogprobs { K = 2, TokenIds = [3, 0], Logprobs = [-0.5f, -0.25f], TopIds = [3, 4, 0, -1], TopLogprobs = [-0.5f, -1, -0.25f, float.NegativeInfinity] },
    };
}
