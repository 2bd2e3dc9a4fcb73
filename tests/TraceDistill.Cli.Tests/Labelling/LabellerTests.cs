using TraceDistill.Cli.Labelling;
using TraceDistill.Data.Labels;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Tokenizers.Spans;
using TraceDistill.Training.Classification;
using Xunit;

namespace TraceDistill.Cli.Tests.Labelling;

public sealed class LabellerTests
{
    static readonly ClassificationHead Head = new(LabelKind.Token, ["O", "name", "place"]);

    /// <summary>
    /// Four spans are true: one is found, one has its border within a token, one has a label that the model does not tell, and one lies
    /// behind the tokens that are read. Two are told: F1 = 2 · 1 / (4 + 2).
    /// </summary>
    [Fact]
    public void SpanF1_SpansThatTokensCannotTell_AreMissed()
    {
        const string Text = "Ann at Bern, Tom-in-Rom Ida";
        var source = new LabelledText("a.jsonl:1", Text)
        {
            Spans = [new(0, 3, "name"), new(7, 11, "place"), new(13, 16, "name"), new(24, 27, "name")],
        };
        TextSpan[] tokens = [new(0, 3), new(3, 6), new(6, 12), new(12, 16), new(16, 24)];
        var text = new LabelledByModel(
            source,
            new EncodedText([1, 2, 3, 4, 5], [0, 1, 2, 3, 4], tokens, tokens),
            Predicted(1, 0, 2, 2, 0),
            Head,
            new TrueLabels(Head, Head.Labels)
        );

        // "Bern, Tom" is one span of the model's: its two tokens have one label.
        Assert.Equal(["Ann", "Bern, Tom"], text.Spans().Select(span => Text[span.Span.Start..span.Span.End]));
        Assert.Equal(2.0 / (4 + 2), Labeller.SpanF1([text]), 1e-12);
    }

    [Fact]
    public void SpanF1_SpansOfTokens_AreFound()
    {
        var source = new LabelledText("a.jsonl:1", "Ann at Bern") { Spans = [new(0, 3, "name"), new(7, 11, "place")] };
        TextSpan[] tokens = [new(0, 3), new(3, 6), new(6, 11)]; // the last with the space before it
        var text = new LabelledByModel(
            source,
            new EncodedText([1, 2, 3], [0, 1, 2], tokens, tokens),
            Predicted(1, 0, 2),
            Head,
            new TrueLabels(Head, Head.Labels)
        );

        Assert.Equal(1, Labeller.SpanF1([text]));
    }

    static float[] Predicted(params int[] labels) =>
        [.. labels.SelectMany(label => Enumerable.Range(0, Head.Labels.Count).Select(id => id == label ? -0.1f : -3f))];
}
