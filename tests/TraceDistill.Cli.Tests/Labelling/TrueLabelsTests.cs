using TraceDistill.Cli.Labelling;
using TraceDistill.Data.Labels;
using TraceDistill.Data.Statistics;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Classification;
using Xunit;

namespace TraceDistill.Cli.Tests.Labelling;

public sealed class TrueLabelsTests
{
    static readonly ClassificationHead Texts = new(LabelKind.Sequence, ["neg", "pos"]);
    static readonly ClassificationHead Tokens = new(LabelKind.Token, ["O", "name", "place"]);

    /// <summary>Two labels are known, one by its number; the others have ids behind the classifier's.</summary>
    [Fact]
    public void IdOf_LabelsOfAFile_AreTheClassifiersAndThoseBehindThem()
    {
        var labels = new TrueLabels(Texts, ["pos", "mixed", "0", "pos", "unsure"]);

        Assert.Equal([1, 0, 2, 3], new[] { "pos", "0", "mixed", "unsure" }.Select(labels.IdOf));
        Assert.Equal(["mixed", "unsure"], labels.Others);
        Assert.Equal((4, true), (labels.Count, labels.HasNumbers));
    }

    /// <summary>Class 1 of a data set of spans may be the first entity or, with O as 0, the same; names alone are certain.</summary>
    [Fact]
    public void IdOf_NumbersOfSpans_AreNoLabelsOfTheClassifier()
    {
        var labels = new TrueLabels(Tokens, ["name", "1", "O"]);

        Assert.Equal(["1"], labels.Others);
        Assert.False(labels.HasNumbers);
    }

    [Fact]
    public void WhyNot_LabelsThatNoClassifierHas_AreToldInALine()
    {
        (string, ClassificationHead)[] models = [("models/a", Texts), ("models/b", new(LabelKind.Sequence, ["bad", "worse"]))];

        Assert.Equal(
            "a.jsonl: its labels are good, bad, and models/a knows neg, pos",
            TrueLabels.WhyNot("a.jsonl", TextsOf("good", "bad"), models[..1])?.Reason
        );
        Assert.Null(TrueLabels.WhyNot("a.jsonl", TextsOf("good", "bad"), models));
        Assert.Null(TrueLabels.WhyNot("a.jsonl", [new LabelledText("a.jsonl:1", "a")], models));
    }

    [Fact]
    public void WhyNot_NumbersAndClassifiersOfOtherOrders_AreToldInALine()
    {
        var labelled = TextsOf("0", "1");
        (string, ClassificationHead)[] models = [("models/a", Texts), ("models/b", new(LabelKind.Sequence, ["pos", "neg"]))];

        Assert.Equal(
            "a.jsonl: has labels by their numbers, and models/a and models/b number theirs in other ways",
            TrueLabels.WhyNot("a.jsonl", labelled, models)?.Reason
        );
        Assert.Null(TrueLabels.WhyNot("a.jsonl", TextsOf("neg", "pos"), models));
        Assert.Equal(
            [
                [0, 1],
                [1, 0],
            ],
            TrueLabels.Of(TextsOf("neg", "pos"), models).Select(own => new[] { own.IdOf("neg"), own.IdOf("pos") })
        );
    }

    /// <summary>Probabilities of the name and of the number of one label are those of one label.</summary>
    [Fact]
    public void Items_LabelByItsNameAndItsNumber_IsOne()
    {
        var source = new LabelledText("a.jsonl:1", "a")
        {
            Label = new Dictionary<string, double>
            {
                ["neg"] = 0.4,
                ["pos"] = 0.25,
                ["1"] = 0.35,
            },
        };
        var text = new LabelledByModel(
            source,
            new EncodedText([1], [0], [], []),
            [-2f, -0.1f],
            Texts,
            new TrueLabels(Texts, source.Label.Keys)
        );

        Assert.Equal([0.4f, 0.6f], text.Items().Single().Given.ToArray());
        Assert.True(text.IsRight);
        Assert.Equal(1, LabelScores.Of(Texts.Labels, text.Items()).Correct);
    }

    static LabelledText[] TextsOf(params string[] labels) =>
        [.. labels.Select(label => new LabelledText("a.jsonl:1", "a") { Label = new Dictionary<string, double> { [label] = 1 } })];
}
