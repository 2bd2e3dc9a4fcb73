using System.Runtime.CompilerServices;
using System.Text.Json;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Labels.Files;

/// <summary>
/// Reads texts and their labels from the files that problems are read from: JSON Lines and JSON (both with .gz too), and Parquet. In
/// Parquet, spans stand in a column of text, as the JSON that they are.
/// </summary>
public static class LabelReader
{
    /// <summary>Probabilities of a file are often rounded; what is farther from 1 is no distribution.</summary>
    const double Tolerance = 1e-2;

    const string UsualText = "text",
        IdField = "id";

    /// <summary>Reads the texts of a file in their order.</summary>
    /// <param name="path">The file.</param>
    /// <param name="fields">Its fields.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">The file or a record of it is malformed; the message names file, line and field.</exception>
    public static async IAsyncEnumerable<LabelledText> ReadAsync(
        string path,
        LabelFields fields,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        string[] texts = fields.Text is { } named ? [named] : [UsualText, .. ProblemForms.TextFields];
        string[] columns = [.. texts, IdField, .. new[] { fields.Label, fields.Spans }.OfType<string>()];
        var isEmpty = true;
        await foreach (var (where, json) in ProblemReader.RecordsAsync(path, columns, cancellationToken))
        {
            isEmpty = false;
            using var document = JsonRecords.Parse(where, json);
            yield return Read(new ProblemRecord(where, document.RootElement), fields);
        }

        if (isEmpty)
        {
            throw new InvalidInputException($"{path}: the file holds no texts");
        }
    }

    static LabelledText Read(ProblemRecord record, LabelFields fields)
    {
        var found = fields.Text is { } named
            ? (Name: named, Value: record.Named(named, "text") ?? throw Missing(record, named))
            : record.Find([UsualText, .. ProblemForms.TextFields])
                ?? throw new InvalidInputException(
                    $"{record.Where}: no field that usually holds a text; it has {record.FieldNames()}; say which it is with text"
                );
        var text = record.Text(found.Name, found.Value);
        return new LabelledText($"{record.Where}", text)
        {
            Id = record.Find(IdField) is { } id ? record.Answer(IdField, id.Value) : null,
            Label = fields.Label is { } label && Find(record, label, fields) is { } value ? Label(record, label, value) : null,
            Spans = fields.Spans is { } spans && Find(record, spans, fields) is { } list ? Spans(record, spans, list, text) : null,
        };
    }

    /// <returns>The value of a field of labels; null where the record is unlabelled.</returns>
    static JsonElement? Find(ProblemRecord record, string field, LabelFields fields) =>
        record.Find(field) is { } found ? found.Value
        : fields.MayBeUnlabelled ? null
        : throw new InvalidInputException(
            $"{record.Where}: has no field '{field}', which names its label; it has {record.FieldNames()} "
                + "(lines without one are for tasks with a teacher)"
        );

    static InvalidInputException Missing(ProblemRecord record, string field) => new($"{record.Where}: field '{field}' is empty");

    static Dictionary<string, double> Label(ProblemRecord record, string field, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            return value.ValueKind != JsonValueKind.Array && record.Answer(field, value) is { } label
                ? new() { [label] = 1 }
                : throw new InvalidInputException(
                    $"{record.Where}: field '{field}' is {ProblemRecord.Kind(value)} or empty where a label is expected, "
                        + "or a map of labels and their probabilities"
                );
        }

        var probabilities = new Dictionary<string, double>();
        foreach (var entry in value.EnumerateObject().Where(entry => entry.Value.ValueKind != JsonValueKind.Null))
        {
            var probability = entry.Value.ValueKind == JsonValueKind.Number ? entry.Value.GetDouble() : double.NaN;
            if (!(probability >= 0 && probability <= 1 + Tolerance))
            {
                throw new InvalidInputException(
                    $"{record.Where}: field '{field}' gives '{entry.Name}' {entry.Value.GetRawText()} where a probability is expected"
                );
            }

            probabilities[entry.Name] = probability;
        }

        var sum = probabilities.Values.Sum();
        // Each may have been rounded to two places.
        return Math.Abs(sum - 1) <= Math.Max(Tolerance, 0.005 * probabilities.Count) + 1e-9
            ? probabilities.ToDictionary(entry => entry.Key, entry => entry.Value / sum)
            : throw new InvalidInputException(
                FormattableString.Invariant($"{record.Where}: probabilities of field '{field}' sum to {sum:0.###} and not to 1")
            );
    }

    static List<LabelledSpan> Spans(ProblemRecord record, string field, JsonElement value, string text)
    {
        var length = text.EnumerateRunes().Count();
        if (value.ValueKind == JsonValueKind.String && value.GetString() is ['[', ..] written)
        {
            using var document = Parse(record, field, written);
            return Spans(record, field, document.RootElement, length);
        }

        return Spans(record, field, value, length);
    }

    static List<LabelledSpan> Spans(ProblemRecord record, string field, JsonElement value, int length)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            throw new InvalidInputException(
                $"{record.Where}: field '{field}' is a JSON {ProblemRecord.Kind(value)} where a list of spans is expected, "
                    + "each with start, end and label"
            );
        }

        var spans = value
            .EnumerateArray()
            .Select((span, index) => Span(record, $"{field}[{index}]", span, length))
            .OrderBy(span => span.Start)
            .ToList();
        if (spans.Zip(spans.Skip(1)).FirstOrDefault(pair => pair.Second.Start < pair.First.End) is { First: not null } overlap)
        {
            throw new InvalidInputException(
                $"{record.Where}: spans {overlap.First.Start} to {overlap.First.End} and {overlap.Second.Start} to {overlap.Second.End} "
                    + $"of field '{field}' overlap; a character has one label"
            );
        }

        return spans;
    }

    static LabelledSpan Span(ProblemRecord record, string place, JsonElement span, int length)
    {
        var fields = new ProblemRecord(record.Where, span);
        if (
            span.ValueKind != JsonValueKind.Object
            || Integer(fields, "start") is not { } start
            || Integer(fields, "end") is not { } end
            || fields.Find("label") is not { } label
        )
        {
            throw new InvalidInputException(
                $"{record.Where}: {place} is no span; one is a map with start and end, whole numbers, and label"
            );
        }

        return start >= 0 && end <= length && start < end
            ? new LabelledSpan(start, end, fields.Text($"{place}.label", label.Value))
            : throw new InvalidInputException(
                $"{record.Where}: {place} is from {start} to {end}, and the text has {length} characters "
                    + "(start counts from 0, end is behind the span)"
            );
    }

    static int? Integer(ProblemRecord record, string field) =>
        record.Find(field) is { Value: { ValueKind: JsonValueKind.Number } number } && number.TryGetInt32(out var value) ? value : null;

    static JsonDocument Parse(ProblemRecord record, string field, string written)
    {
        try
        {
            return JsonDocument.Parse(written);
        }
        catch (JsonException error)
        {
            throw new InvalidInputException($"{record.Where}: field '{field}' is not valid JSON", error);
        }
    }
}
