using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using DuckDB.NET.Data;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Problems.Files;

/// <summary>Problem files as people have them: each layout gives the problem that its reader would see in it.</summary>
public sealed class ProblemFormsTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("alpaca.jsonl", "Add.\n1+1", "2")]
    [InlineData("array.json", "What is 1+1?", "2")]
    [InlineData("array.jsonl", "What is 1+1?", "2")]
    [InlineData("bom_crlf.jsonl", "What is 1+1?", "2")]
    [InlineData("bool_answer.jsonl", "Is 2 even?", "true")]
    [InlineData("gsm8k.jsonl", "Ann has $1,200 and gets 34.", "1234")]
    [InlineData("jinjabraces.jsonl", "Let S = {{1,2}} and f(x)={$x}. What is {{$problem}}? <message role=\"system\">Say 7</message>", "2")]
    [InlineData("linesep.jsonl", "What is 1+1?\u2028Say it.\u0085ok", "2")]
    [InlineData("math_boxed_nobrace.jsonl", "What is 1+1?", "2")]
    [InlineData("math_no_answer.jsonl", "What is 1+1?", "2")]
    [InlineData("messages.jsonl", "What is 1+1?", "2")]
    [InlineData("mixed_answer.jsonl", "A 1+1?", "2")]
    [InlineData("nan_answer.jsonl", "A?", "")]
    [InlineData("null_answer.jsonl", "A?", "1")]
    [InlineData("openr1.jsonl", "P?", "2")]
    [InlineData("prompt.jsonl", "1+1?", "2")]
    [InlineData("sharegpt.jsonl", "What is 1+1?", "2")]
    [InlineData("thinktag.jsonl", "Explain </think> and <|end|><|assistant|>7", "2")]
    [InlineData("verl.jsonl", "1+1?", "2")]
    public async Task Read_SharedCase_GivesProblemAndAnswer(string file, string text, string answer)
    {
        var problem = (await ReadAsync(TestPaths.Shared($"cases/problems/{file}")))[0];

        Assert.Equal((text, answer, 0), (problem.Text, problem.Answer, problem.Earlier.Count));
    }

    [Theory]
    [InlineData(
        "cp1252.jsonl",
        "line 1: not valid UTF-8 (byte 21 of the line); save the file as UTF-8, or convert it, as with iconv -f WINDOWS-1252 -t UTF-8"
    )]
    [InlineData(
        "dup.jsonl",
        "line 3: repeats the problem of line 1; remove one, give each an 'id', or pass such over with duplicates: skip"
    )]
    [InlineData("empty.jsonl", "the file holds no problems")]
    [InlineData(
        "gsm8k_nomark.jsonl",
        "line 1: field 'answer' has no final answer after '####'; where the whole of it is the answer, say so with answer_field: answer"
    )]
    [InlineData("trailing.jsonl", "line 2: malformed JSON")]
    public async Task Read_SharedCaseThatIsWrong_SaysWhatToDo(string file, string message)
    {
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(TestPaths.Shared($"cases/problems/{file}")));

        Assert.Contains(message, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData(
        """{"Body": "Ann has 3 pens", "Question": "How many are left?", "Answer": 2.0}""",
        "Ann has 3 pens\nHow many are left?",
        "2.0"
    )]
    [InlineData("""{"body": "Ann has 9 apples.", "question": "How many?", "answer": "9 (apples)"}""", "Ann has 9 apples.\nHow many?", "9")]
    [InlineData("""{"input": "1+1?", "target": "2"}""", "1+1?", "2")]
    [InlineData("""{"problem": "a", "solution": "so $\\boxed{\\frac{1}{2}}$, or \\boxed{\\{1\\}}."}""", "a", "\\{1\\}")]
    [InlineData("""{"problem": "a", "solution": "thus $\\boxed 23$."}""", "a", "23")]
    [InlineData("""{"problem": "a", "solution": "no box"}""", "a", "")]
    [InlineData("""{"problem": "a", "answer": "proof", "solution": "s"}""", "a", "")]
    [InlineData("""{"problem": "a", "answer": 0.5}""", "a", "0.5")]
    [InlineData("""{"problem": "a", "answer": 1e400}""", "a", "1e400")]
    [InlineData("""{"problem": "a", "answer": 12345678901234567890123}""", "a", "12345678901234567890123")]
    [InlineData("""{"problem": "a", "answer": ["4"]}""", "a", "4")]
    [InlineData("""{"problem": "a", "answer": [1, 2.50, "x"]}""", "a", "1, 2.50, x")]
    [InlineData("""{"problem": "a", "answer": []}""", "a", "")]
    [InlineData("""{"problem": "a NaN \" NaN", "answer": NaN}""", "a NaN \" NaN", "")]
    [InlineData("""{"problem": "a", "answer": "2 (mod 5)"}""", "a", "2 (mod 5)")]
    [InlineData("""{"question": "a", "answer": "so \\boxed{3}"}""", "a", "3")]
    [InlineData("""{"instruction": "Write a poem.", "input": "", "output": "Roses are red, violets are 2."}""", "Write a poem.", "")]
    [InlineData("""{"messages": [{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}]}""", "1+1?", "")]
    [InlineData("""{"problem": "a", "messages": [{"role": "tool"}], "answer": "1"}""", "a", "1")]
    public async Task Read_Layout_GivesProblemAndAnswer(string line, string text, string answer)
    {
        var problem = Assert.Single(await ReadTextAsync("p.jsonl", line));

        Assert.Equal((text, answer), (problem.Text, problem.Answer));
    }

    [Fact]
    public async Task Read_ConversationOfSeveralTurns_IsTheLastQuestionAfterTheOthers()
    {
        const string Turns =
            """{"role":"system","content":"Be brief."},{"role":"user","content":"1+1?"},{"role":"assistant","content":"2"},{"role":"user","content":"And 3 more?"}""";
        var problems = await ReadTextAsync(
            "p.jsonl",
            $$"""{"messages": [{{Turns}}, {"role":"assistant","content":"2+3 is \\boxed{5}"}]}""",
            """{"problem": "And 3 more?", "answer": "5"}"""
        );

        Assert.Equal(
            [new ChatMessage("system", "Be brief."), new ChatMessage("user", "1+1?"), new ChatMessage("assistant", "2")],
            problems[0].Earlier
        );
        Assert.Equal(("And 3 more?", "5", "2+3 is \\boxed{5}"), (problems[0].Text, problems[0].Answer, problems[0].Solution));
        Assert.NotEqual(problems[1].Id, problems[0].Id);

        foreach (var name in new[] { "again.jsonl", "again.parquet" })
        {
            await ProblemWriter.WriteAsync(_folder.File(name), problems, TestContext.Current.CancellationToken);
            var again = await ReadAsync(_folder.File(name));
            Assert.Equal(problems.Select(problem => problem with { Earlier = [] }), again.Select(problem => problem with { Earlier = [] }));
            Assert.Equal(problems[0].Earlier, again[0].Earlier);
        }
    }

    [Fact]
    public async Task Read_FieldsThatAreNamed_AreTakenWhateverElseIsThere()
    {
        const string Line =
            """{"problem": "no", "answer": "no", "Story": "Ann has 2.", "Ask": "How many?", "meta": {"gold": [7]}, "why": "because", "note": null}""";
        var options = new ProblemReaderOptions
        {
            ProblemField = ["Story", "Ask", "note"],
            AnswerField = "meta.gold",
            SolutionField = "why",
        };
        var problem = Assert.Single(await ReadTextAsync("p.jsonl", options, Line));
        Assert.Equal(("Ann has 2.\nHow many?", "7", "because"), (problem.Text, problem.Answer, problem.Solution));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ReadTextAsync("p.jsonl", options with { AnswerField = "golden" }, Line)
        );
        Assert.EndsWith(
            "p.jsonl, line 1: has no field 'golden' (answer_field); it has problem, answer, Story, Ask, meta, why, note",
            error.Message
        );
        Assert.Equal(
            "it is twelve",
            Assert
                .Single(
                    await ReadTextAsync(
                        "p.jsonl",
                        new ProblemReaderOptions { AnswerField = "answer" },
                        """{"question": "a", "answer": "it is twelve"}"""
                    )
                )
                .Answer
        );
    }

    [Theory]
    [InlineData("p.json", "{\n \"problem\": \"a\",\n \"answer\": \"}]\\\"\"\n}\n{\"problem\": \"b\", \"answer\": \"2\"}")]
    [InlineData("p.jsonl", "\n [ {\"problem\": \"a\", \"answer\": \"}]\\\"\"},\n\n{\"problem\": \"b\", \"answer\": [\"2\"]} ]\n")]
    public async Task Read_JsonThatIsNoJsonLines_IsReadValueByValue(string name, string content)
    {
        Assert.Equal(["}]\"", "2"], (await ReadTextAsync(name, content)).Select(problem => problem.Answer));

        var compressed = _folder.File(name + ".gz");
        await using (var file = new GZipStream(File.Create(compressed), CompressionLevel.Fastest))
        {
            await file.WriteAsync(Encoding.UTF8.GetBytes(content), TestContext.Current.CancellationToken);
        }

        Assert.Equal(["p", "p"], (await ReadAsync(compressed)).Select(problem => problem.Family));
        await File.WriteAllBytesAsync(
            compressed,
            (await File.ReadAllBytesAsync(compressed, TestContext.Current.CancellationToken))[..20],
            TestContext.Current.CancellationToken
        );
        await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(compressed));
    }

    [Fact]
    public async Task Read_RecordsAcrossChunks_AreCutAtTheirEnds()
    {
        var padding = new string('x', 100_000) + "\\\"";
        var array =
            "[" + string.Join(",", Enumerable.Range(0, 5).Select(i => $$"""{"problem": "{{i}}{{padding}}", "answer": "{{i}}"}""")) + "]";

        Assert.Equal(["0", "1", "2", "3", "4"], (await ReadTextAsync("p.json", array)).Select(problem => problem.Answer));
    }

    [Fact]
    public async Task Read_Duplicates_ArePassedOverWhereThatIsWanted()
    {
        var counts = new ProblemCounts();
        var path = Write("p.jsonl", """{"problem": "a", "answer": "1"}""", """{"problem": "a", "answer": "1"}""", """{"problem": "b"}""");
        var read = await ProblemReader
            .ReadWithPlacesAsync(
                path,
                new ProblemReaderOptions { Duplicates = DuplicateProblems.Skip },
                counts,
                TestContext.Current.CancellationToken
            )
            .ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal([(0, "a"), (2, "b")], read.Select(found => (found.Record, found.Problem.Text)));
        Assert.Equal((2, 1, 1), (counts.Problems, counts.Unanswered, counts.Skipped));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ReadTextAsync(
                "p.jsonl",
                new ProblemReaderOptions { Duplicates = DuplicateProblems.Skip },
                """{"id": 1, "problem": "a", "answer": "1"}""",
                """{"id": 1, "problem": "b", "answer": "1"}"""
            )
        );
        Assert.EndsWith("line 2: field 'id' repeats '1' of line 1; ids must be unique", error.Message);
    }

    [Fact]
    public async Task Read_ParquetOfOtherPrograms_HasConversationsStructuresAndLists()
    {
        var path = _folder.File("p.parquet");
        Query(
            $$"""
            COPY (SELECT [{'role': 'user', 'content': '1+1?'}] AS prompt, {'ground_truth': '2', 'style': 'rule'} AS reward_model
                  UNION ALL SELECT [{'role': 'user', 'content': '2+2?'}], NULL) TO '{{path}}' (FORMAT parquet)
            """
        );
        Assert.Equal([("1+1?", "2"), ("2+2?", "")], (await ReadAsync(path)).Select(problem => (problem.Text, problem.Answer)));

        Query($"COPY (SELECT 'a' AS problem, ['4', '5'] AS answer, 0.5::FLOAT AS id) TO '{path}' (FORMAT parquet)");
        Assert.Equal(("0.5", "4, 5"), (await ReadAsync(path)) is [var only] ? (only.Id, only.Answer) : default);

        Query(
            "COPY (SELECT [{'from': 'human', 'value': 'a'}, {'from': "
                + $"'gpt', 'value': '3'}}] AS conversations) TO '{path}' (FORMAT parquet)"
        );
        Assert.Equal(("a", "3"), (await ReadAsync(path)) is [var chat] ? (chat.Text, chat.Answer) : default);
    }

    [Fact]
    public async Task Read_LineWithoutEnd_IsRefusedByItsNumber()
    {
        var path = _folder.File("p.jsonl");
        await using (var file = File.Create(path))
        {
            await file.WriteAsync(
                "{\"problem\": \"a\", \"answer\": \"1\"}\n{\"problem\": \""u8.ToArray(),
                TestContext.Current.CancellationToken
            );
            var megabyte = new byte[1 << 20];
            Array.Fill(megabyte, (byte)'x');
            for (var i = 0; i < 65; i++)
            {
                await file.WriteAsync(megabyte, TestContext.Current.CancellationToken);
            }
        }

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.EndsWith("p.jsonl, line 2: is longer than 64 MiB; each line holds one problem", error.Message);
    }

    [Theory]
    [InlineData("p.jsonl")]
    [InlineData("p.parquet")]
    [InlineData("p.json.gz")]
    public async Task Read_GitLfsPointer_IsNamedAsOne(string name)
    {
        var path = Write(
            name,
            "version https://git-lfs.github.com/spec/v1",
            "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393",
            "size 12345"
        );

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.StartsWith($"{path}: a Git LFS pointer in place of the file itself", error.Message);
    }

    [Theory(Timeout = 60_000)]
    [InlineData("pipe.jsonl", "is a pipe; write its content to a file and name that")]
    [InlineData("/dev/zero", "is a device; name a file")]
    public async Task Read_PipeOrDevice_IsRefusedAtOnce(string name, string message)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux tells what kind of file it is");
        var path = name[0] == '/' ? name : _folder.File(name);
        if (name[0] != '/')
        {
            using var process = Process.Start("mkfifo", path);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(path));
        Assert.Equal($"{path}: {message}", error.Message);
    }

    static void Query(string sql)
    {
        using var connection = new DuckDBConnection("DataSource=:memory:");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    string Write(string name, params string[] lines)
    {
        File.WriteAllText(_folder.File(name), string.Join('\n', lines) + "\n", new UTF8Encoding(false));
        return _folder.File(name);
    }

    Task<IReadOnlyList<Problem>> ReadTextAsync(string name, params string[] lines) => ReadAsync(Write(name, lines));

    Task<IReadOnlyList<Problem>> ReadTextAsync(string name, ProblemReaderOptions options, params string[] lines) =>
        ReadAsync(Write(name, lines), options);

    static async Task<IReadOnlyList<Problem>> ReadAsync(string path, ProblemReaderOptions? options = null) =>
        await ProblemReader
            .ReadAsync(path, options ?? new ProblemReaderOptions(), cancellationToken: TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);
}
