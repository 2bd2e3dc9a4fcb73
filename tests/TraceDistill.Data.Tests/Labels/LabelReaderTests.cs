using TraceDistill.Data.Labels;
using TraceDistill.Data.Labels.Files;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Labels;

public sealed class LabelReaderTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task ReadAsync_HardAndSoftLabels_AreDistributions()
    {
        var texts = await ReadAsync(
            new LabelFields { Label = "label" },
            """{"text": "one", "label": "a", "id": 3}""",
            """{"problem": "two", "label": {"a": 0.25, "b": 0.75, "c": null}}""",
            """{"text": "three", "label": 7}"""
        );

        Assert.Equal(["one", "two", "three"], texts.Select(text => text.Text));
        Assert.Equal(1, texts[0].Label!["a"]);
        Assert.Equal("3", texts[0].Id);
        Assert.Equal([("a", 0.25), ("b", 0.75)], texts[1].Label!.Select(label => (label.Key, label.Value)));
        Assert.Equal(1, texts[2].Label!["7"]);
    }

    /// <summary>Rounded to two places, thirds sum to 0.99.</summary>
    [Fact]
    public async Task ReadAsync_RoundedProbabilities_AreTakenForWhatTheyWere()
    {
        var texts = await ReadAsync(new LabelFields { Label = "y" }, """{"text": "a", "y": {"p": 0.33, "q": 0.33, "r": 0.33}}""");

        Assert.All(texts[0].Label!.Values, probability => Assert.Equal(1 / 3.0, probability, 1e-12));
    }

    [Fact]
    public async Task ReadAsync_Spans_AreSortedAndCountCodePoints()
    {
        var texts = await ReadAsync(
            new LabelFields { Spans = "spans" },
            """{"text": "😀 is 12", "spans": [{"start": 5, "end": 7, "label": "N"}, {"start": 0, "end": 1, "label": "E"}]}""",
            """{"text": "as text", "spans": "[{\"start\": 0, \"end\": 2, \"label\": \"E\"}]"}"""
        );

        Assert.Equal([new(0, 1, "E"), new(5, 7, "N")], texts[0].Spans!);
        Assert.Equal([new(0, 2, "E")], texts[1].Spans!);
    }

    [Fact]
    public async Task ReadAsync_UnlabelledLinesWhereTheyMayBe_HaveNoLabel()
    {
        var texts = await ReadAsync(
            new LabelFields { Label = "y", MayBeUnlabelled = true },
            """{"text": "a"}""",
            """{"text": "b", "y": null}"""
        );

        Assert.All(texts, text => Assert.Null(text.Label));
    }

    [Fact]
    public async Task ReadAsync_Parquet_ReadsTheColumnsThatThereAre()
    {
        var path = _directory.File("problems.parquet");
        Problem[] problems =
        [
            new()
            {
                Id = "1",
                Text = "how many?",
                Answer = "2",
                Family = "sums",
            },
        ];
        await ProblemWriter.WriteAsync(path, problems, TestContext.Current.CancellationToken);

        var texts = await LabelReader
            .ReadAsync(path, new LabelFields { Label = "family" }, TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal(("how many?", 1.0), (texts.Single().Text, texts[0].Label!["sums"]));
    }

    [Fact]
    public async Task ReadAsync_SpansInParquet_AreThoseThatWereWritten()
    {
        var path = _directory.File("problems.parquet");
        Problem[] problems =
        [
            new()
            {
                Id = "1",
                Text = "😀 has 12 \"pens\"",
                Answer = "12",
                Family = "story",
                Spans = [new(0, 1, "who"), new(6, 8, "a \"number\"")],
            },
            new()
            {
                Id = "2",
                Text = "nothing",
                Answer = "0",
                Family = "story",
            },
        ];
        await ProblemWriter.WriteAsync(path, problems, TestContext.Current.CancellationToken);

        var texts = await LabelReader
            .ReadAsync(path, new LabelFields { Spans = "spans", MayBeUnlabelled = true }, TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);

        Assert.Equal(problems[0].Spans, texts[0].Spans!);
        Assert.Null(texts[1].Spans);
    }

    [Theory]
    [InlineData("""{"text": "a"}""", "has no field 'label', which names its label; it has text")]
    [InlineData("""{"body_text": "a", "label": "x"}""", "no field that usually holds a text; it has body_text, label")]
    [InlineData("""{"text": " ", "label": "x"}""", "field 'text' is empty")]
    [InlineData("""{"text": "a", "label": ["x"]}""", "field 'label' is array or empty where a label is expected")]
    [InlineData("""{"text": "a", "label": {"x": 0.5, "y": 0.2}}""", "probabilities of field 'label' sum to 0.7 and not to 1")]
    [InlineData("""{"text": "a", "label": {"x\ud800": 1}}""", "the name of a field has half of a surrogate pair, which is not text")]
    [InlineData("""{"text": "a", "label": {"x": -0.5, "y": 1.5}}""", "field 'label' gives 'x' -0.5 where a probability is expected")]
    public async Task ReadAsync_AWrongLabel_NamesTheLine(string line, string told) =>
        Assert.StartsWith(
            $"{_directory.File("texts.jsonl")}, line 2: {told}",
            (
                await Assert.ThrowsAsync<InvalidInputException>(() =>
                    ReadAsync(new LabelFields { Label = "label" }, """{"text": "a", "label": "x"}""", line)
                )
            ).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("""[{"start": 0, "end": 9, "label": "x"}]""", "spans[0] is from 0 to 9, and the text has 3 characters")]
    [InlineData("""[{"start": 2, "end": 2, "label": "x"}]""", "spans[0] is from 2 to 2")]
    [InlineData("""[{"start": -1, "end": 2, "label": "x"}]""", "spans[0] is from -1 to 2")]
    [InlineData(
        """[{"start": 0, "end": 2, "label": "x"}, {"start": 1, "end": 3, "label": "y"}]""",
        "spans 0 to 2 and 1 to 3 of field 'spans' overlap"
    )]
    [InlineData("""[{"start": 0.5, "end": 2, "label": "x"}]""", "spans[0] is no span")]
    [InlineData("""[{"start": 0, "label": "x"}]""", "spans[0] is no span")]
    [InlineData("""[7]""", "spans[0] is no span")]
    [InlineData("""{"start": 0}""", "field 'spans' is a JSON object where a list of spans is expected")]
    [InlineData("\"[7\"", "field 'spans' is not valid JSON")]
    public async Task ReadAsync_AWrongSpan_NamesTheLine(string spans, string told) =>
        Assert.StartsWith(
            $"{_directory.File("texts.jsonl")}, line 1: {told}",
            (
                await Assert.ThrowsAsync<InvalidInputException>(() =>
                    ReadAsync(new LabelFields { Spans = "spans" }, $$"""{"text": "abc", "spans": {{spans}}}""")
                )
            ).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public async Task ReadAsync_AnEmptyFile_IsRefused() =>
        Assert.EndsWith(
            "the file holds no texts",
            (await Assert.ThrowsAsync<InvalidInputException>(() => ReadAsync(new LabelFields { Label = "label" }))).Message,
            StringComparison.Ordinal
        );

    async Task<List<LabelledText>> ReadAsync(LabelFields fields, params string[] lines)
    {
        var path = _directory.File("texts.jsonl");
        await File.WriteAllLinesAsync(path, lines, TestContext.Current.CancellationToken);
        return await LabelReader
            .ReadAsync(path, fields, TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);
    }
}
