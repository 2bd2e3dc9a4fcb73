using FsCheck.Xunit;
using Microsoft.Data.Sqlite;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Shards.Codec;
using TraceDistill.Data.Traces;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Journal;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Teachers.Tests.Journal;

public sealed class TraceJournalTests
{
    static readonly DatasetDescription Dataset = new()
    {
        Teacher = "teacher",
        TokenIdentity = TokenIdentity.Ids,
        TopK = 2,
    };

    [Fact]
    public async Task AddAsync_AfterReopening_TheTraceIsThereToTheBit()
    {
        using var folder = new TemporaryDirectory();
        var trace = Sample(1);
        await using (var journal = TraceJournal.Open(folder.Path, Dataset))
        {
            await journal.AddAsync(trace);
        }

        await using var again = TraceJournal.Open(folder.Path, dataset: null);

        Assert.Equal(Dataset, again.Dataset);
        Assert.Equal([Key(1)], again.Rows());
        Assert.Equivalent(Encoded(trace), again.Read([Key(1)]).Single(), strict: true);
    }

    [Fact]
    public async Task AddAsync_ManyAtOnce_KeepsEachOnce()
    {
        using var folder = new TemporaryDirectory();
        await using var journal = TraceJournal.Open(folder.Path, Dataset);
        var numbers = Enumerable.Range(0, 1000).ToArray();

        await Task.WhenAll(numbers.Concat(numbers.Take(10)).Select(number => journal.AddAsync(Sample(number))));

        Assert.Equal(numbers.Select(Key).Order(), journal.Rows().Order());
        Assert.Equal(
            numbers.Reverse().Select(number => Key(number).ToString()),
            journal.Read(numbers.Reverse().Select(Key)).Select(trace => trace.Id)
        );
    }

    [Fact]
    public async Task AddAsync_IdThatIsThere_ChangesNothingUnlessItIsToBeReplaced()
    {
        using var folder = new TemporaryDirectory();
        await using var journal = TraceJournal.Open(folder.Path, Dataset);
        await journal.AddAsync(Sample(1));

        await journal.AddAsync(Sample(1) with { Answer = "second" });
        Assert.Equal("3", journal.Read([Key(1)]).Single().Answer);
        await journal.AddAsync(Sample(1) with { Answer = "third" }, replace: true);

        Assert.Equal("third", journal.Read([Key(1)]).Single().Answer);
        Assert.Single(journal.Rows());
    }

    [Fact]
    public async Task NoteShard_WithItsTraces_TakesTheirRowsAway()
    {
        using var folder = new TemporaryDirectory();
        var shard = new JournalShard(
            1,
            new ShardEntry("journal.00001.shard", 2, 40, 5000, "abc"),
            Published: null,
            new TraceCounts(1, 0, 1, 0),
            [Key(2), Key(0)]
        );
        await using (var journal = TraceJournal.Open(folder.Path, Dataset))
        {
            await Task.WhenAll(Enumerable.Range(0, 3).Select(number => journal.AddAsync(Sample(number))));
            Assert.Equal(1, journal.NextShardNumber());
            journal.NoteShard(shard);
        }

        await using var again = TraceJournal.Open(folder.Path, Dataset);

        Assert.Equal([Key(1)], again.Rows());
        Assert.Equivalent(shard, Assert.Single(again.Shards()), strict: true);
        Assert.Equal(2, again.NextShardNumber());
    }

    [Theory]
    [InlineData("UPDATE shards SET keys = 'text'")]
    [InlineData("UPDATE shards SET keys = zeroblob(40)")]
    [InlineData("UPDATE shards SET rows = 'many'")]
    [InlineData("UPDATE shards SET keys = zeroblob(16)")]
    public async Task Shards_OfADamagedTable_SayThatTheJournalIsDamaged(string damage)
    {
        using var folder = new TemporaryDirectory();
        await using (var journal = TraceJournal.Open(folder.Path, Dataset))
        {
            journal.NoteShard(
                new JournalShard(1, new ShardEntry("journal.00001.shard", 2, 40, 5000, "abc"), Published: null, default, [Key(2), Key(0)])
            );
        }

        await using (var damaged = new SqliteConnection($"Data Source={folder.File("journal.db")};Pooling=False"))
        {
            damaged.Open();
            using var command = damaged.CreateCommand();
            command.CommandText = damage;
            command.ExecuteNonQuery();
        }

        await using var again = TraceJournal.Open(folder.Path, Dataset);
        Assert.Contains("restore it, or delete it", Assert.Throws<InvalidInputException>(again.Shards).Message);
    }

    [Fact]
    public async Task Open_JournalOfAnotherVersion_IsLeftAsItIs()
    {
        using var folder = new TemporaryDirectory();
        await using (var old = new SqliteConnection($"Data Source={folder.File("journal.db")};Pooling=False"))
        {
            old.Open();
            using var command = old.CreateCommand();
            command.CommandText = "PRAGMA user_version = 77";
            command.ExecuteNonQuery();
        }

        Assert.Contains(
            "another version of this program",
            Assert.Throws<InvalidInputException>(() => TraceJournal.Open(folder.Path, Dataset)).Message
        );
        Assert.Contains(
            "another version of this program",
            Assert.Throws<InvalidInputException>(() => TraceJournal.Open(folder.Path, Dataset)).Message
        );
    }

    [Fact]
    public async Task Describe_WhatTheTeacherWasSeenToDo_IsThereAfterReopening()
    {
        using var folder = new TemporaryDirectory();
        var seen = new TeacherCapabilities
        {
            Dialect = "vllm",
            TokenIdentity = TokenIdentity.Ids,
            TopLogprobs = 3,
            PromptScoring = "echo",
        };
        await using (var journal = TraceJournal.Open(folder.Path, Dataset))
        {
            Assert.Null(journal.Capabilities);
            journal.Describe(Dataset, seen);
            journal.Describe(Dataset);
        }

        await using var again = TraceJournal.Open(folder.Path, Dataset);
        Assert.Equal(seen, again.Capabilities);
    }

    [Fact]
    public async Task AddAsync_FolderGone_IsNotAcknowledged()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "an open file cannot be deleted there");
        using var folder = new TemporaryDirectory();
        var directory = Directory.CreateDirectory(folder.File("out")).FullName;
        await using var journal = TraceJournal.Open(directory, Dataset);
        await journal.AddAsync(Sample(1));

        Directory.Delete(directory, recursive: true);

        Assert.Contains("is gone", (await Assert.ThrowsAsync<ExternalFailureException>(() => journal.AddAsync(Sample(2)))).Message);
    }

    [Fact]
    public async Task Open_WhileAnotherRunHasIt_SaysSo()
    {
        using var folder = new TemporaryDirectory();
        await using var first = TraceJournal.Open(folder.Path, Dataset);

        Assert.Contains("another run", Assert.Throws<ExternalFailureException>(() => TraceJournal.Open(folder.Path, Dataset)).Message);
    }

    [Fact]
    public async Task Open_JournalOfOtherTraces_NamesWhatDiffers()
    {
        using var folder = new TemporaryDirectory();
        await using (TraceJournal.Open(folder.Path, Dataset)) { }

        var error = Assert.Throws<InvalidInputException>(() =>
            TraceJournal.Open(folder.Path, Dataset with { Teacher = "other", TopK = 5 })
        );

        Assert.Contains("teacher \"teacher\" there, \"other\" now; top_k 2 there, 5 now", error.Message);
    }

    [Fact]
    public async Task Open_FileThatIsNoJournal_LeavesItAlone()
    {
        using var folder = new TemporaryDirectory();
        await File.WriteAllTextAsync(folder.File("journal.db"), new string('x', 5000), TestContext.Current.CancellationToken);

        Assert.Contains("is not a journal", Assert.Throws<InvalidInputException>(() => TraceJournal.Open(folder.Path, Dataset)).Message);
        Assert.Equal(5000, new FileInfo(folder.File("journal.db")).Length);
    }

    [Fact]
    public void Open_FolderThatIsNotThere_SaysThatItCannotBeWritten() =>
        Assert.Contains(
            "cannot be written",
            Assert.Throws<InvalidInputException>(() => TraceJournal.Open("/no/such/folder", Dataset)).Message
        );

    [Theory]
    [InlineData(8, "cannot be written")]
    [InlineData(11, "damaged")]
    public void Describe_WhatSqliteSays_IsTheUsersBusiness(int code, string expected) =>
        Assert.Contains(
            expected,
            Assert.IsType<InvalidInputException>(JournalFailure.Describe("out/journal.db", new SqliteException("x", code))).Message
        );

    [Fact]
    public void Describe_FullDisk_IsAFailureFromOutside() =>
        Assert.Contains(
            "the disk is full",
            Assert.IsType<ExternalFailureException>(JournalFailure.Describe("out/journal.db", new SqliteException("x", 13))).Message
        );

    [Property]
    public bool Decode_OfAnyEncodedTrace_IsTheSameTrace(
        FsCheck.NonNull<string> text,
        long seed,
        int latency,
        FsCheck.NormalFloat temperature,
        int[] prompt,
        FsCheck.NormalFloat[] gaps,
        bool withLogprobs
    )
    {
        var ids = Enumerable.Range(0, gaps.Length).ToArray();
        var logprobs = Array.ConvertAll(gaps, gap => (float)-Math.Min(Math.Abs(gap.Get), 1000));
        var trace = Sample(1) with
        {
            Generation = text.Get,
            Messages = [new ChatMessage("user", text.Get), new ChatMessage("system", "")],
            Seed = seed,
            LatencyMs = latency,
            Temperature = temperature.Get,
            PromptTokenIds = prompt,
            Logprobs = withLogprobs
                ? new TokenLogprobs
                {
                    K = 1,
                    TokenIds = ids,
                    Logprobs = logprobs,
                    TopIds = ids,
                    TopLogprobs = logprobs,
                }
                : null,
        };

        var decoded = TraceCodec.Decode(TraceCodec.Encode(trace));

        // A lone surrogate has no place in UTF-8, here or on the wire.
        var kept = System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text.Get));
        return decoded.Generation == kept
            && decoded.Messages[0].Content == kept
            && decoded.Seed == seed
            && decoded.LatencyMs == latency
            && decoded.Temperature.Equals(temperature.Get)
            && decoded.PromptTokenIds.SequenceEqual(prompt)
            && (decoded.Logprobs is null) == !withLogprobs
            && (
                decoded.Logprobs is null
                || (
                    decoded.Logprobs.TokenIds.SequenceEqual(ids)
                    && decoded.Logprobs.Logprobs.SequenceEqual(logprobs)
                    && decoded.Logprobs.Encoded.AsSpan().SequenceEqual(SoftTargetCodec.Encode(trace.Logprobs!))
                )
            );
    }

    /// <summary>For the plain layout alternatives are kept to the last bit; what a server was given encoded stays as it came.</summary>
    [Fact]
    public void Decode_ExactBlob_HasTheAlternativesThemselves()
    {
        var trace = Sample(1);

        var decoded = TraceCodec.Decode(TraceCodec.Encode(trace, isExact: true)).Logprobs!;

        Assert.Null(decoded.Encoded);
        Assert.Equal(trace.Logprobs!.TopIds, decoded.TopIds);
        Assert.Equal(trace.Logprobs.TopLogprobs, decoded.TopLogprobs);
        Assert.Equal(
            SoftTargetCodec.Encode(trace.Logprobs),
            TraceCodec.Decode(TraceCodec.Encode(Encoded(trace), isExact: true)).Logprobs!.Encoded
        );
    }

    [Fact]
    public void Decode_DamagedBlob_IsInvalidData()
    {
        var blob = TraceCodec.Encode(Sample(1));

        Assert.Throws<InvalidDataException>(() => TraceCodec.Decode(blob[..^5]));
        Assert.Throws<InvalidDataException>(() => TraceCodec.Decode([9, .. blob[1..]]));
        Assert.Throws<InvalidDataException>(() => TraceCodec.Decode([]));
    }

    static TraceKey Key(int number) => new(0x0123456789abcdef, (ulong)number);

    /// <summary>A trace as the journal gives it back: its alternatives as a shard will have them.</summary>
    static Trace Encoded(Trace trace) =>
        trace with
        {
            Logprobs = trace.Logprobs! with { TopIds = [], TopLogprobs = [], Encoded = SoftTargetCodec.Encode(trace.Logprobs) },
        };

    static Trace Sample(int number) =>
        new()
        {
            Id = Key(number).ToString(),
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
            Logprobs = new TokenLogprobs
            {
                K = 2,
                TokenIds = [3, 0],
                Logprobs = [-0.5f, -0.25f],
                TopIds = [3, 4, 0, -1],
                TopLogprobs = [-0.5f, -1, -0.25f, float.NegativeInfinity],
            },
        };
}
