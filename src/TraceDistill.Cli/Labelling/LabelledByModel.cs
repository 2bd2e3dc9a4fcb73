using TraceDistill.Data.Labels;
using TraceDistill.Data.Statistics;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Classification;

namespace TraceDistill.Cli.Labelling;

/// <summary>A text as one classifier labels it.</summary>
/// <param name="Source">The text and what is known of its labels.</param>
/// <param name="Encoded">In the classifier's tokens.</param>
/// <param name="Predicted">[M · L] log-probabilities.</param>
/// <param name="Head">The classifier's labels.</param>
sealed record LabelledByModel(LabelledText Source, EncodedText Encoded, float[] Predicted, ClassificationHead Head)
{
    readonly float[] _given = GivenOf(Source, Encoded, Head);

    /// <summary>True where its labels are known.</summary>
    public bool IsKnown => _given.Length > 0;

    /// <summary>True where every item has the true label.</summary>
    public bool IsRight => Items().All(item => LabelScores.Best(item.Given.Span) == LabelScores.Best(item.Predicted.Span));

    /// <summary>Its items.</summary>
    public IEnumerable<ScoredItem> Items() =>
        Enumerable.Range(0, Encoded.Rows.Length).Select(item => new ScoredItem(Row(_given, item), Row(Predicted, item), default));

    /// <summary>Probabilities of the labels, the most probable first.</summary>
    /// <param name="item">Number of the item.</param>
    public IEnumerable<KeyValuePair<string, double>> Probabilities(int item) =>
        Head
            .Labels.Select((label, id) => KeyValuePair.Create(label, Math.Exp(Predicted[(item * Head.Labels.Count) + id])))
            .OrderByDescending(label => label.Value);

    /// <summary>Neighbouring tokens of one label, with the mean of its probability at them.</summary>
    public IEnumerable<(LabelledSpan Span, double Probability)> Spans() =>
        Merge([.. Items().Select(item => Head.Labels[LabelScores.Best(item.Predicted.Span)])]);

    IEnumerable<(LabelledSpan Span, double Probability)> Merge(string[] labels)
    {
        for (int first = 0, end; first < labels.Length; first = end)
        {
            for (end = first + 1; end < labels.Length && labels[end] == labels[first]; end++) { }

            if (labels[first] != LabelEncoder.Outside)
            {
                var id = IdOf(labels[first], Head)!.Value;
                yield return (
                    Trimmed(Encoded.Offsets[first].Start, Encoded.Offsets[end - 1].End, labels[first]),
                    Enumerable.Range(first, end - first).Average(item => Math.Exp(Predicted[(item * Head.Labels.Count) + id]))
                );
            }
        }
    }

    /// <summary>A word's token often has the space before it.</summary>
    LabelledSpan Trimmed(int start, int end, string label)
    {
        var runes = Source.Text.EnumerateRunes().Skip(start).Take(end - start).ToList();
        var before = runes.TakeWhile(System.Text.Rune.IsWhiteSpace).Count();
        var after = before == runes.Count ? 0 : runes.AsEnumerable().Reverse().TakeWhile(System.Text.Rune.IsWhiteSpace).Count();
        return before == runes.Count ? new LabelledSpan(start, end, label) : new LabelledSpan(start + before, end - after, label);
    }

    ReadOnlyMemory<float> Row(float[] values, int item) =>
        values.Length == 0 ? default : values.AsMemory(item * Head.Labels.Count, Head.Labels.Count);

    static float[] GivenOf(LabelledText source, EncodedText encoded, ClassificationHead head)
    {
        if (source.Label is null && source.Spans is null)
        {
            return [];
        }

        var given = new float[encoded.Rows.Length * head.Labels.Count];
        var items = source.Spans is { } spans
            ? LabelEncoder.LabelsOf(encoded.Offsets, spans).Select((label, item) => (item, label, 1.0))
            : source.Label!.Select(label => (0, label.Key, label.Value));
        foreach (var (item, label, probability) in items)
        {
            if (IdOf(label, head) is not { } id)
            {
                throw new InvalidInputException(
                    $"{source.Where}: unknown label '{label}'; the classifier knows {string.Join(", ", head.Labels.Take(20))}"
                );
            }

            given[(item * head.Labels.Count) + id] = (float)probability;
        }

        return given;
    }

    static int? IdOf(string label, ClassificationHead head)
    {
        for (var id = 0; id < head.Labels.Count; id++)
        {
            if (head.Labels[id] == label)
            {
                return id;
            }
        }

        return null;
    }
}
