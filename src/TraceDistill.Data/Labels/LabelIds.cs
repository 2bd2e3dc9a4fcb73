using System.Globalization;

namespace TraceDistill.Data.Labels;

/// <summary>
/// Ids of labels by what a file calls them: their names, or, where no name is itself a number, the numbers that they have (0, 1, …), as
/// data sets store classes.
/// </summary>
/// <param name="labels">Names by id, no two alike.</param>
public sealed class LabelIds(IReadOnlyList<string> labels)
{
    readonly Dictionary<string, int> _ids = labels.Index().ToDictionary(label => label.Item, label => label.Index);
    readonly bool _mayBeNumbers = !labels.Any(label => Number(label) is not null);

    /// <returns>Null for a label that is none of them.</returns>
    public int? Of(string label) =>
        _ids.TryGetValue(label, out var id) ? id
        : _mayBeNumbers && Number(label) is { } number && number < labels.Count ? number
        : null;

    static int? Number(string label) =>
        int.TryParse(label, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        && number.ToString(CultureInfo.InvariantCulture) == label
            ? number
            : null;
}
