using System.Globalization;
using System.Numerics;
using System.Text;
using Parquet;
using Parquet.Schema;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Problems.Files;

public sealed class ProblemReaderTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("train.jsonl", 7473)]
    [InlineData("test.jsonl", 1319)]
    public async Task Read_Gsm8k_GivesEveryProblemWithAWholeNumberAsAnswer(string file, int count)
    {
        var problems = await ReadAsync(TestPaths.SharedData($"gsm8k/{file}"));
        Assert.Equal(count, problems.Count);
        Assert.All(problems, problem =>
        {
            Assert.True(BigInteger.TryParse(problem.Answer, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _));
            Assert.DoesNotContain("<<", problem.Solution);
            Assert.DoesNotContain("####", problem.Solution);
            Assert.Equal("gsm8k", problem.Family);
        });
    }

    [Fact]
    public async Task Read_Gsm8kForm_TakesNotesAndCommasAway()
    {
        var problem = Assert.Single(
            await ReadLinesAsync("""{"question": "How many?", "answer": "It is 1,000*3 = <<1000*3=3000>>3,000.\nSo.\n#### 3,000"}""")
        );
        Assert.Equal(("How many?", "It is 1,000*3 = 3,000.\nSo.", "3000"), (problem.Text, problem.Solution, problem.Answer));
    }

    [Theory]
    [InlineData("#### 1,234,567", "1234567")]
    [InlineData("#### -3.5", "-3.5")]
    [InlineData("#### 1/2", "1/2")]
    [InlineData("#### $1,234.50", "$1234.50")]
    [InlineData("#### 12,19,45", "12,19,45")]
    public async Task Read_Gsm8kForm_TakesOnlyTheCommasWithinNumbersAway(string answer, string expected) =>
        Assert.Equal(expected, Assert.Single(await ReadLinesAsync($$"""{"question": "a", "answer": "so\n{{answer}}"}""")).Answer);

    [Theory]
    [InlineData("""{"question": "a", "answer": 72}""", "72", null)]
    [InlineData("""{"question": "a", "answer": "$1,080.50"}""", "$1,080.50", null)]
    [InlineData("""{"question": "a", "answer": "x+1", "solution": "s"}""", "x+1", "s")]
    public async Task Read_QuestionWithAPlainAnswer_IsTakenAsAProblem(string line, string answer, string? solution)
    {
        var problem = Assert.Single(await ReadLinesAsync(line));
        Assert.Equal(("a", answer, solution, "problems"), (problem.Text, problem.Answer, problem.Solution, problem.Family));
    }

    [Fact]
    public async Task Read_ProblemForm_TakesOptionalFieldsOrTheirDefaults()
    {
        var problems = await ReadLinesAsync(
            """{"problem": "1+1?", "answer": 2, "level": 3}""",
            "",
            """{"id": 7, "problem": "2+2?", "solution": "Count.", "answer": "4", "family": "sums"}""" + "\r"
        );
        Assert.Equal(("1+1?", "2", null, "problems"), (problems[0].Text, problems[0].Answer, problems[0].Solution, problems[0].Family));
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData("1+1?"u8)[..8]), problems[0].Id);
        Assert.Equal(
            new Problem
            {
                Id = "7",
                Text = "2+2?",
                Answer = "4",
                Solution = "Count.",
                Family = "sums",
            },
            problems[1]
        );
    }

    [Fact]
    public async Task Read_LineSeparatorsOfUnicodeAndAByteOrderMark_AreNoLineEnds()
    {
        var problem = Assert.Single(await ReadLinesAsync("\uFEFF{\"problem\": \"a\u2028b\u0085c\", \"answer\": \"1\"}"));
        Assert.Equal("a\u2028b\u0085c", problem.Text);
    }

    [Theory]
    [InlineData("", "problems.jsonl: the file holds no problems")]
    [InlineData("\n  \n", "problems.jsonl: the file holds no problems")]
    [InlineData("{\"problem\": \"a\", \"answer\": \"1\"}\n{\"problem\": ", "problems.jsonl, line 2: malformed JSON")]
    [InlineData("[1, 2]", "problems.jsonl, line 1: a JSON number where an object is expected")]
    [InlineData("{\"problem\": \"a\", \"answer\": \"1\"}\n[1]", "problems.jsonl, line 2: a JSON array where an object is expected")]
    [InlineData("[{\"problem\": \"a\", \"answer\": \"1\"}\n", "problems.jsonl, line 2: the array ends without its ]")]
    [InlineData("[{\"problem\": \"a\", \"answer\": \"1\"}]\n{}", "problems.jsonl, line 2: something follows the end of the array")]
    [InlineData("[\n{\"problem\": \"a\",\n\"answer\": x}]", "problems.jsonl, line 3: malformed JSON at byte 11")]
    [InlineData(
        "{\"text\": \"q\", \"result\": \"1\"}",
        "line 1: none of the fields that usually hold a problem is there; it has text, result; say which it is with problem_field"
    )]
    [InlineData(
        "{\"problem\": null, \"answer\": \"1\"}",
        "line 1: none of the fields that usually hold a problem is there; it has problem, answer"
    )]
    [InlineData(
        "{\"problem\": \"a\", \"answer\": {\"value\": 2}}",
        "field 'answer' is a JSON object where an answer is expected; name the field within it with answer_field, as answer.value"
    )]
    [InlineData("{\"problem\": \"a\", \"answer\": Infinity}", "line 1: malformed JSON at byte")]
    [InlineData("{\"messages\": [{\"role\": \"tool\", \"content\": \"x\"}]}", "line 1: messages[0] has the role 'tool'")]
    [InlineData("{\"messages\": [{\"content\": \"x\"}]}", "line 1: messages[0] has no role; it has content")]
    [InlineData("{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}", "line 1: field 'messages' has no turn of the user")]
    [InlineData(
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}",
        "line 1: messages[0] has a part that is not text"
    )]
    [InlineData("{\"problem\": \" \", \"answer\": \"1\"}", "line 1: field 'problem' is empty")]
    [InlineData("{\"problem\": 5, \"answer\": \"1\"}", "line 1: field 'problem' is a JSON number where text is expected")]
    [InlineData("{\"problem\": \"a\", \"answer\": \"1\", \"solution\": [\"x\"]}", "line 1: field 'solution' is a JSON array")]
    [InlineData("{\"problem\": \"\\ud800\", \"answer\": \"1\"}", "line 1: field 'problem' has half of a surrogate pair")]
    [InlineData("{\"problem\": \"a\", \"answer\": \"1\", \"\\ud800\": 1}", "line 1: the name of a field has half of a surrogate pair")]
    [InlineData("{\"question\": \"a\", \"answer\": \"so 1\"}", "line 1: field 'answer' has no final answer after '####'")]
    [InlineData("{\"question\": \"a\", \"answer\": \"so 1 ####\"}", "line 1: field 'answer' has no final answer after '####'")]
    [InlineData(
        "{\"id\":\"x\",\"problem\":\"a\",\"answer\":\"1\"}\n\n{\"id\":\"x\",\"problem\":\"b\",\"answer\":\"1\"}",
        "line 3: field 'id' repeats 'x' of line 1"
    )]
    [InlineData("{\"problem\":\"a\",\"answer\":\"1\"}\n{\"problem\":\"a\",\"answer\":\"1\"}", "line 2: repeats the problem of line 1")]
    public async Task Read_BadLines_NamesFileLineAndField(string content, string message)
    {
        var path = _folder.File("problems.jsonl");
        await File.WriteAllTextAsync(path, content, TestContext.Current.CancellationToken);
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.Contains(message, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public async Task Read_InvalidUtf8_NamesLineAndByte()
    {
        var path = _folder.File("problems.jsonl");
        byte[] content = [.. "{\"problem\":\"a\",\"answer\":\"1\"}\n{\"problem\":\""u8, 0xC3, 0x28, .. "\",\"answer\":\"1\"}\n"u8];
        await File.WriteAllBytesAsync(path, content, TestContext.Current.CancellationToken);
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.Contains("line 2: not valid UTF-8 (byte 13 of the line)", error.Message);
    }

    [Theory]
    [InlineData("absent.jsonl", "no such file")]
    [InlineData("problems.csv", "unknown format '.csv'")]
    [InlineData("", "is a folder; name a .jsonl or .parquet file in it, such as held_out.jsonl or train.jsonl")]
    public async Task Read_WhatIsNoProblemFile_SaysWhy(string name, string message)
    {
        await File.WriteAllTextAsync(_folder.File("train.jsonl"), "x", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(_folder.File("held_out.jsonl"), "x", TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(_folder.File("problems.csv"), "x", TestContext.Current.CancellationToken);
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(_folder.File(name)));
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public async Task Read_TruncatedParquet_NamesTheFile()
    {
        var path = _folder.File("problems.parquet");
        await ProblemWriter.WriteAsync(
            path,
            ProblemGenerator.Generate(["all"], 500, 1, ProblemSplit.Train),
            TestContext.Current.CancellationToken
        );
        var bytes = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(path, bytes[..(bytes.Length / 2)], TestContext.Current.CancellationToken);
        Assert.Contains(
            "problems.parquet: not a whole, readable Parquet file",
            (await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path))).Message
        );
    }

    [Fact]
    public async Task Read_ParquetWithOtherColumns_TakesNumbersAsAnswersAndNamesWrongTypes()
    {
        var path = _folder.File("other.parquet");
        var (problem, answer) = (new DataField<string>("problem"), new DataField<long?>("answer"));
        await WriteParquetAsync(path, [problem, answer], async group =>
        {
            await group.WriteAsync(problem, ["1+1?", "2+2?"]);
            await group.WriteAsync<long>(answer, new long?[] { 2, null });
        });
        var problems = await ReadAsync(path);
        Assert.Equal(["2", ""], problems.Select(read => read.Answer));

        var number = new DataField<int>("problem");
        await WriteParquetAsync(path, [number], async group => await group.WriteAsync<int>(number, new[] { 1 }));
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.Contains("other.parquet, row 1: field 'problem' is a JSON number where text is expected", error.Message);

        var text = new DataField<string>("text");
        await WriteParquetAsync(path, [text], async group => await group.WriteAsync(text, ["q"]));
        error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.Contains(
            "other.parquet: none of the columns that usually hold a problem is there; it has text; say which it is with problem_field",
            error.Message
        );
        Assert.Equal("q", Assert.Single(await ReadAsync(path, new ProblemReaderOptions { ProblemField = ["text"] })).Text);
    }

    static async Task WriteParquetAsync(string path, Field[] fields, Func<ParquetRowGroupWriter, Task> write)
    {
        await using var stream = File.Create(path);
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(fields), stream);
        using var group = writer.CreateRowGroup();
        await write(group);
    }

    async Task<IReadOnlyList<Problem>> ReadLinesAsync(params string[] lines)
    {
        var path = _folder.File("problems.jsonl");
        await File.WriteAllTextAsync(path, string.Join('\n', lines) + "\n", new UTF8Encoding(false), TestContext.Current.CancellationToken);
        return await ReadAsync(path);
    }

    static async Task<IReadOnlyList<Problem>> ReadAsync(string path, ProblemReaderOptions? options = null) =>
        await ProblemReader
            .ReadAsync(path, options ?? new ProblemReaderOptions(), cancellationToken: TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);
}
