using TraceDistill.Data.Labels;
using TraceDistill.Models.Configuration;
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
    /// <param name="texts">The texts.</param>
    /// <param name="heads">Model directories and their labels, all of one kind.</param>
    /// <returns>Of each classifier.</returns>
    public static IReadOnlyList<TrueLabels> Of(
        IReadOnlyList<LabelledText> texts,
        IReadOnlyList<(string Directory, ClassificationHead Head)> heads
    )
    {
        var named = NamesIn(texts);
        string[] all = heads[0].Head.Kind == LabelKind.Token ? [.. named, LabelEncoder.Outside] : named;
        return [.. heads.Select(model => new TrueLabels(model.Head, all))];
    }

    /// <summary>
    /// Why classifiers cannot be measured by the labels of texts, and what to do; null where they can, or there are none.
    /// </summary>
    /// <param name="file">Names the texts.</param>
    /// <param name="texts">The texts.</param>
    /// <param name="heads">Model directories and their labels, all of one kind.</param>
    public static (string Reason, string Remedy)? WhyNot(
        string file,
        IReadOnlyList<LabelledText> texts,
        IReadOnlyList<(string Directory, ClassificationHead Head)> heads
    )
    {
        var named = NamesIn(texts);
        if (named.Length == 0)
        {
            return null;
        }

        var labels = heads.Select(model => new TrueLabels(model.Head, named)).ToList();
        if (labels.TrueForAll(own => own.Others.Count == named.Length))
        {
            return (
                $"{file}: its labels are {List(named)}, and {heads[0].Directory} knows {List(heads[0].Head.Labels)}",
                "name the field that holds the texts' true labels with label"
            );
        }

        var second = heads
            .Zip(labels)
            .FirstOrDefault(model =>
                (model.Second.HasNumbers || labels[0].HasNumbers) && !model.First.Head.Labels.SequenceEqual(heads[0].Head.Labels)
            );
        return second.Second is null
            ? null
            : (
                $"{file}: has labels by their numbers, and {heads[0].Directory} and {second.First.Directory} number theirs in other ways",
                "write the labels by name, or measure the models apart"
            );
    }

    static string[] NamesIn(IEnumerable<LabelledText> texts) =>
        [.. texts.SelectMany(text => text.Label?.Keys ?? text.Spans?.Select(span => span.Label) ?? []).Distinct()];

    static string List(IReadOnlyCollection<string> labels) =>
        string.Join(", ", labels.Take(Told)) + (labels.Count > Told ? $" and {labels.Count - Told} more" : "");
}
