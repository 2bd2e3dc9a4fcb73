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
/// <param name="Labels">Ids of the file's labels; the classifier is wrong about those that it does not have whatever it says.</param>
sealed record LabelledByModel(LabelledText Source, EncodedText Encoded, float[] Predicted, ClassificationHead Head, TrueLabels Labels)
{
    readonly (int Id, float Probability)[][] _truth = TruthOf(Source, Encoded, Labels);

    /// <summary>True where its labels are known.</summary>
    public bool IsKnown => _truth.Length > 0;

    /// <summary>True where every item has the true label, and no labelled span lies behind what was read.</summary>
    public bool IsRight =>
        Unread == 0 && _truth.Index().All(item => item.Item.MaxBy(label => label.Probability).Id == LabelScores.Best(Row(item.Index).Span));

    /// <summary>Ids of the true labels of its items, as <see cref="Labels"/> has them.</summary>
    public IEnumerable<int> Given => _truth.SelectMany(item => item).Where(label => label.Probability > 0).Select(label => label.Id);

    /// <summary>Labelled spans behind what was read.</summary>
    public int Unread => Source.Spans is { } spans ? Encoded.Unread(spans) : 0;

    /// <summary>Its items; the true labels are those of the classifier and then the others.</summary>
    public IEnumerable<ScoredItem> Items() =>
        Enumerable
            .Range(0, Encoded.Rows.Length)
            .Select(item => new ScoredItem(IsKnown ? RowOf(_truth[item]) : default, Row(item), default));

    /// <summary>Probabilities of the labels, the most probable first.</summary>
    /// <param name="item">Number of the item.</param>
    public IEnumerable<KeyValuePair<string, double>> Probabilities(int item) =>
        Head
            .Labels.Select((label, id) => KeyValuePair.Create(label, Math.Exp(Predicted[(item * Head.Labels.Count) + id])))
            .OrderByDescending(label => label.Value);

    /// <summary>Neighbouring tokens of one label, with the mean of its probability at them.</summary>
    public IEnumerable<(LabelledSpan Span, double Probability)> Spans() =>
        Merge([.. Enumerable.Range(0, Encoded.Rows.Length).Select(item => Head.Labels[LabelScores.Best(Row(item).Span)])]);

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
        var row = Row(item).Span;
        return row[LabelScores.Best(row)];
    }

    ReadOnlyMemory<float> Row(int item) => Predicted.AsMemory(item * Head.Labels.Count, Head.Labels.Count);

    /// <summary>A row at a time: of many texts and labels all of them would not fit.</summary>
    float[] RowOf((int Id, float Probability)[] truth)
    {
        var given = new float[Labels.Count];
        foreach (var (id, probability) in truth)
        {
            given[id] = probability;
        }

        return given;
    }

    /// <returns>Of each item the ids of its labels and their probabilities, by id; empty where none is known.</returns>
    static (int Id, float Probability)[][] TruthOf(LabelledText source, EncodedText encoded, TrueLabels labels) =>
        source.Spans is { } spans ? [.. LabelEncoder.LabelsOf(encoded.Offsets, spans).Select(label => new[] { (labels.IdOf(label), 1f) })]
        : source.Label is { } given
            // A label by its name and by its number is one.
            ?
            [
                [
                    .. given
                        .GroupBy(label => labels.IdOf(label.Key), (id, same) => (id, (float)same.Sum(label => label.Value)))
                        .OrderBy(label => label.id),
                ],
            ]
        : [];
}
