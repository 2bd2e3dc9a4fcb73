using TraceDistill.Data.Labels;
using TraceDistill.Data.Statistics;
using Xunit;

namespace TraceDistill.Data.Tests.Statistics;

public sealed class LabelScoresTests
{
    static readonly string[] Labels = ["a", "b", "c"];

    /// <summary>Truth a a b c, told a b b b: F1 of a 2/3, of b 1/2, of c 0.</summary>
    [Fact]
    public void Of_FourItemsByHand_HasTheirFigures()
    {
        var scores = LabelScores.Of(Labels, [Item(0, 0.8), Item(0, 0.5, told: 1), Item(1, 0.9), Item(2, 0.7, told: 1)]);

        Assert.Equal((4, 2, 0.5), (scores.Count, scores.Correct, scores.Accuracy));
        Assert.Equal((2.0 / 3 + 0.5 + 0) / 3, scores.MacroF1, 1e-12);
        Assert.Equal(-(Math.Log(0.8) + Math.Log(0.25) + Math.Log(0.9) + Math.Log(0.15)) / 4, scores.Loss, 1e-6);
        // Each confidence is alone in its bin of a fifteenth.
        Assert.Equal((0.2 + 0.5 + 0.1 + 0.7) / 4, scores.Ece, 1e-6);
        Assert.Null(scores.Kl);
        Assert.Equal(new LabelCounts("b", 1, 3, 1), scores.Labels[1]);
    }

    [Fact]
    public void Of_LabelsThatOccurNowhere_AreNotInTheMean()
    {
        Assert.Equal(1, LabelScores.Of(Labels, [Item(0, 0.8), Item(1, 0.9)]).MacroF1);
    }

    [Fact]
    public void Of_SoftLabelsAndATeacher_HasCrossEntropyAndDivergence()
    {
        float[] given = [0.5f, 0.25f, 0.25f],
            predicted = [MathF.Log(0.25f), MathF.Log(0.5f), MathF.Log(0.25f)],
            taught = [MathF.Log(0.5f), MathF.Log(0.25f), MathF.Log(0.25f)];

        var scores = LabelScores.Of(Labels, [new(given, predicted, taught), new(default, predicted, predicted)]);

        Assert.Equal(1, scores.Count);
        Assert.Equal(-(0.5 * Math.Log(0.25) + 0.25 * Math.Log(0.5) + 0.25 * Math.Log(0.25)), scores.Loss, 1e-6);
        Assert.Equal(0.5 * (0.5 * Math.Log(2) - 0.25 * Math.Log(2)), scores.Kl!.Value, 1e-6);
        Assert.Equal(0.5, scores.Agreement); // of the second alone
    }

    /// <summary>A label that is never predicted: truth a, d and b, told a, a and b.</summary>
    [Fact]
    public void Of_TruthThatIsNotPredicted_IsWrongAndNoCrossEntropy()
    {
        ScoredItem Widened(ScoredItem item, bool isOther) =>
            item with
            {
                Given = (float[])[.. isOther ? new float[3] : item.Given.ToArray(), isOther ? 1 : 0],
            };

        var scores = LabelScores.Of(
            [.. Labels, "d"],
            [Widened(Item(0, 0.8), false), Widened(Item(0, 0.6), true), Widened(Item(1, 0.9), false)]
        );

        Assert.Equal((3, 2), (scores.Count, scores.Correct));
        Assert.Equal((2.0 / 3 + 1 + 0) / 3, scores.MacroF1, 1e-12);
        Assert.Equal(-(Math.Log(0.8) + Math.Log(0.9)) / 2, scores.Loss, 1e-6);
        Assert.Equal((0.2 + 0.6 + 0.1) / 3, scores.Ece, 1e-6);
        Assert.Equal(new LabelCounts("d", 1, 0, 0), scores.Labels[3]);
    }

    static ScoredItem Item(int truth, double confidence, int? told = null)
    {
        var (given, predicted) = (new float[3], new float[3]);
        given[truth] = 1;
        Array.Fill(predicted, (float)Math.Log((1 - confidence) / 2));
        predicted[told ?? truth] = (float)Math.Log(confidence);
        return new ScoredItem(given, predicted, default);
    }
}
