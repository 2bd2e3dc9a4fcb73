using TraceDistill.Data.Labels;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Classification;

namespace TraceDistill.Cli.Labelling;

/// <summary>Ids of a file's labels: those of a classifier, and behind them one for each label that the classifier does not have.</summary>
sealed class TrueLabels
{
    const int Told = 10;

    readonly Dictionary<string, int> _ids;

    /// <param name="head">The classifier's labels.</param>
    /// <param name="labels">All that the file has.</param>
    public TrueLabels(ClassificationHead head, IEnumerable<string> labels)
    {
        // Spans are compared by the names of their labels, and a number of a token's class may count O or not.
        var known = new LabelIds(head.Labels);
        int? Known(string label) => head.Kind == LabelKind.Sequence || head.Labels.Contains(label) ? known.Of(label) : null;

        string[] all = [.. labels.Distinct()];
        Others = [.. all.Where(label => Known(label) is null)];
        _ids = all.Select(label => (label, Id: Known(label)))
            .Where(label => label.Id is not null)
            .Select(label => (label.label, label.Id!.Value))
            .Concat(Others.Select((label, number) => (label, head.Labels.Count + number)))
            .ToDictionary();
        Count = head.Labels.Count + Others.Count;
        HasNumbers = _ids.Any(label => label.Value < head.Labels.Count && head.Labels[label.Value] != label.Key);
    }

    /// <summary>Those that the classifier does not have.</summary>
    public IReadOnlyList<string> Others { get; }

    /// <summary>Number of the classifier's labels and the others.</summary>
    public int Count { get; }

    /// <summary>True where some label is the number that it has in the classifier.</summary>
    public bool HasNumbers { get; }

    public int IdOf(string label) => _ids[label];

    /// <summary>The labels of texts for classifiers that are to label them.</summary>
    /// <param name="file">Names the texts in errors.</param>
    /// <param name="texts">The texts.</param>
    /// <param name="heads">Model directories and their labels, all of one kind.</param>
    /// <returns>Of each classifier.</returns>
    /// <exception cref="InvalidInputException">Numbers in the file mean other labels in another classifier.</exception>
    public static IReadOnlyList<TrueLabels> Of(
        string file,
        IReadOnlyList<LabelledText> texts,
        IReadOnlyList<(string Directory, ClassificationHead Head)> heads
    )
    {
        var named = NamesIn(texts);
        string[] all = heads[0].Head.Kind == LabelKind.Token ? [.. named, LabelEncoder.Outside] : named;
        var labels = heads.Select(model => new TrueLabels(model.Head, all)).ToList();
        foreach (var ((directory, head), own) in heads.Zip(labels))
        {
            if ((own.HasNumbers || labels[0].HasNumbers) && !head.Labels.SequenceEqual(heads[0].Head.Labels))
            {
                throw new InvalidInputException(
                    $"{file}: has labels by their numbers, and {heads[0].Directory} and {directory} number theirs in other ways; "
                        + "write the labels by name, or measure the models apart"
                );
            }
        }

        return labels;
    }

    /// <summary>Says that texts have labels and no classifier has any of them; null where one has.</summary>
    public static string? WhyNone(
        string file,
        IReadOnlyList<LabelledText> texts,
        IReadOnlyList<(string Directory, ClassificationHead Head)> heads
    )
    {
        var named = NamesIn(texts);
        return named.Length == 0 || heads.Any(model => new TrueLabels(model.Head, named).Others.Count < named.Length)
            ? null
            : $"{file}: its labels are {List(named)}, and {heads[0].Directory} knows {List(heads[0].Head.Labels)}";
    }

    static string[] NamesIn(IEnumerable<LabelledText> texts) =>
        [.. texts.SelectMany(text => text.Label?.Keys ?? text.Spans?.Select(span => span.Label) ?? []).Distinct()];

    static string List(IReadOnlyCollection<string> labels) =>
        string.Join(", ", labels.Take(Told)) + (labels.Count > Told ? $" and {labels.Count - Told} more" : "");
}
