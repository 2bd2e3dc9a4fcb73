using TraceDistill.Data.Labels;
using TraceDistill.Data.Statistics;
using TraceDistill.Models.Configuration;
using TraceDistill.Training.Classification;

namespace TraceDistill.Cli.Labelling;

/// <summary>A text as one classifier labels it.</summary>
/// <param name="Source">The text and what is known of its labels.</param>
/// <param name="Encoded">In the classifier's tokens.</param>
/// <param name="Predicted">[M · L] log-probabilities.</param>
/// <param name="Head">The classifier's labels.</param>
/// <param name="Others">Labels of the file that the classifier does not have: it is wrong about them whatever it says.</param>
sealed record LabelledByModel(
    LabelledText Source,
    EncodedText Encoded,
    float[] Predicted,
    ClassificationHead Head,
    IReadOnlyList<string> Others
)
{
    readonly float[] _given = GivenOf(Source, Encoded, Head, Others);

    /// <summary>True where its labels are known.</summary>
    public bool IsKnown => _given.Length > 0;

    /// <summary>True where every item has the true label, and no labelled span lies behind what was read.</summary>
    public bool IsRight => Unread == 0 && Items().All(item => LabelScores.Best(item.Given.Span) == LabelScores.Best(item.Predicted.Span));

    /// <summary>Labelled spans behind what was read.</summary>
    public int Unread => Source.Spans is { } spans ? Encoded.Unread(spans) : 0;

    /// <summary>Its items; the true labels are those of the classifier and then the others.</summary>
    public IEnumerable<ScoredItem> Items() =>
        Enumerable
            .Range(0, Encoded.Rows.Length)
            .Select(item => new ScoredItem(
                Row(_given, item, Head.Labels.Count + Others.Count),
                Row(Predicted, item, Head.Labels.Count),
                default
            ));

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
                yield return (
                    Trimmed(Encoded.Offsets[first].Start, Encoded.Offsets[end - 1].End, labels[first]),
                    Enumerable.Range(first, end - first).Average(item => Math.Exp(Best(item)))
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

    float Best(int item)
    {
        var row = Row(Predicted, item, Head.Labels.Count).Span;
        return row[LabelScores.Best(row)];
    }

    static ReadOnlyMemory<float> Row(float[] values, int item, int labels) =>
        values.Length == 0 ? default : values.AsMemory(item * labels, labels);

    static float[] GivenOf(LabelledText source, EncodedText encoded, ClassificationHead head, IReadOnlyList<string> others)
    {
        if (source.Label is null && source.Spans is null)
        {
            return [];
        }

        var (ids, labels) = (new LabelIds(head.Labels), head.Labels.Count + others.Count);
        var given = new float[encoded.Rows.Length * labels];
        var items = source.Spans is { } spans
            ? LabelEncoder.LabelsOf(encoded.Offsets, spans).Select((label, item) => (item, label, 1.0))
            : source.Label!.Select(label => (0, label.Key, label.Value));
        foreach (var (item, label, probability) in items)
        {
            var id = ids.Of(label) ?? head.Labels.Count + others.Index().First(other => other.Item == label).Index;
            given[(item * labels) + id] = (float)probability;
        }

        return given;
    }
}
