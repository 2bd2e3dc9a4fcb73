using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using Parquet;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Problems.Files;

public sealed class ProblemWriterTests
{
    /// <summary>
    /// Problem sets with any valid text in any field: control characters, line separators, quotes, characters beyond the basic plane.
    /// </summary>
    public static class ProblemSets
    {
        public static Arbitrary<Problem[]> Arbitrary()
        {
            var character = Gen.Frequency(
                (6, Gen.Choose(32, 126)),
                (1, Gen.Choose(0, 31)),
                (1, Gen.Elements(0x2028, 0x85, '"', '\\', '\n', '<')),
                (1, Gen.Choose(0x1F600, 0x1F64F))
            );
            var text = character.Select(code => new Rune(code).ToString()).ListOf().Select(parts => string.Concat(parts));
            var filled = text.Select(value => $"a{value}b");
            var problem =
                from id in filled
                from problemText in filled
                from answer in filled
                from solution in Gen.OneOf(filled.Select(value => (string?)value), Gen.Constant<string?>(null))
                from family in filled
                select new Problem
                {
                    Id = id,
                    Text = problemText,
                    Answer = answer,
                    Solution = solution,
                    Family = family,
                };
            return problem.NonEmptyListOf().Select(list => list.DistinctBy(item => item.Id).ToArray()).ToArbitrary();
        }
    }

    [Property(MaxTest = 100, Arbitrary = [typeof(ProblemSets)])]
    public async Task Write_ThenRead_GivesTheSameProblems(Problem[] problems)
    {
        using var folder = new TemporaryDirectory();
        foreach (var name in new[] { "set.jsonl", "set.parquet" })
        {
            await ProblemWriter.WriteAsync(folder.File(name), problems);
            Assert.Equal(problems, await ProblemReader.ReadAsync(folder.File(name)).ToListAsync());
        }
    }

    [Fact]
    public async Task Write_GeneratedProblems_HasTheCommonFieldsInBothFormats()
    {
        using var folder = new TemporaryDirectory();
        var problems = ProblemGenerator.Generate(["all"], 60, 3, ProblemSplit.Train);
        await ProblemWriter.WriteAsync(folder.File("set.jsonl"), problems, TestContext.Current.CancellationToken);
        await ProblemWriter.WriteAsync(folder.File("set.parquet"), problems, TestContext.Current.CancellationToken);

        var lines = await File.ReadAllLinesAsync(folder.File("set.jsonl"), TestContext.Current.CancellationToken);
        Assert.Equal(60, lines.Length);
        using var first = JsonDocument.Parse(lines[0]);
        Assert.Equal(["id", "problem", "answer", "solution", "family"], first.RootElement.EnumerateObject().Select(field => field.Name));
        await using var parquet = await ParquetReader.CreateAsync(
            folder.File("set.parquet"),
            cancellationToken: TestContext.Current.CancellationToken
        );
        // Stories among them have spans.
        Assert.Equal(["id", "problem", "answer", "solution", "family", "spans"], parquet.Schema.Fields.Select(field => field.Name));
    }

    [Fact]
    public async Task Write_ThatFailsHalfway_LeavesTheOldFile()
    {
        using var folder = new TemporaryDirectory();
        foreach (var path in new[] { folder.File("set.jsonl"), folder.File("set.parquet") })
        {
            await ProblemWriter.WriteAsync(
                path,
                ProblemGenerator.Generate(["clock"], 5, 3, ProblemSplit.Train),
                TestContext.Current.CancellationToken
            );
            var before = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
            await Assert.ThrowsAsync<InvalidInputException>(() =>
                ProblemWriter.WriteAsync(path, Failing(), TestContext.Current.CancellationToken)
            );
            Assert.Equal(before, await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken));
        }

        static IEnumerable<Problem> Failing()
        {
            yield return ProblemGenerator.Generate(["clock"], 1, 4, ProblemSplit.Train)[0];
            throw new InvalidInputException("the source is broken");
        }
    }

    [Fact]
    public async Task Write_ToAnUnknownFormat_LeavesNothing()
    {
        using var folder = new TemporaryDirectory();
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ProblemWriter.WriteAsync(folder.File("set.csv"), [], TestContext.Current.CancellationToken)
        );
        Assert.Contains("end in .jsonl or .parquet", error.Message);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public async Task Write_ToAFolderThatIsNot_SaysThatItCannotBeWritten()
    {
        using var folder = new TemporaryDirectory();
        var path = Path.Combine(folder.Path, "absent", "set.jsonl");
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ProblemWriter.WriteAsync(path, [], TestContext.Current.CancellationToken)
        );
        Assert.Contains("cannot be written", error.Message);
    }
}
