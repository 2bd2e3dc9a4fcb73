using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Labels;
using TraceDistill.Data.Labels.Files;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Classification;

/// <summary>The texts of one task, in tokens, with their labels.</summary>
sealed class TaskData
{
    TaskData(string name, LabelTask task, string[] labels, List<Line> train, List<Line> heldOut)
    {
        (Name, Task, Labels, Train, HeldOut) = (name, task, labels, train, heldOut);
    }

    public string Name { get; }

    public LabelTask Task { get; }

    /// <summary>Names by id.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Texts to learn from.</summary>
    public IReadOnlyList<Line> Train { get; }

    /// <summary>Texts to evaluate on.</summary>
    public IReadOnlyList<Line> HeldOut { get; }

    /// <summary>Spans without a token of their own, because another one has most of it.</summary>
    public int LostSpans { get; private init; }

    /// <summary>Spans behind what is read of texts that are cut.</summary>
    public int UnreadSpans { get; private init; }

    /// <summary>Tokens of the longest text.</summary>
    public int Longest => Train.Concat(HeldOut).Max(line => line.Sequence.Ids.Length);

    /// <summary>A text.</summary>
    /// <param name="Source">As it was read.</param>
    /// <param name="Encoded">In the student's tokens.</param>
    /// <param name="Sequence">With its labels; a teacher's are filled in later.</param>
    internal sealed record Line(LabelledText Source, EncodedText Encoded, TraceTokens Sequence);

    /// <summary>Reads a task's files.</summary>
    /// <param name="number">Of the task.</param>
    /// <param name="name">Its name.</param>
    /// <param name="task">Its settings.</param>
    /// <param name="encoder">Makes the student's tokens.</param>
    /// <param name="evalFraction">Share that is held out where the task has no file for that.</param>
    /// <param name="own">Labels of the classifier that is started from, which goes on with its head where they fit; null for none.</param>
    /// <param name="taught">Labels of the teacher; null where there is none.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    /// <exception cref="InvalidInputException">A line is wrong, or the labels of the lines are no task.</exception>
    public static async Task<TaskData> ReadAsync(
        int number,
        string name,
        LabelTask task,
        LabelEncoder encoder,
        double evalFraction,
        IReadOnlyList<string>? own,
        IReadOnlyList<string>? taught,
        CancellationToken cancellationToken
    )
    {
        var train = await EncodeAsync(task.File);
        var heldOut = task.EvalFile is { } file ? await EncodeAsync(file) : [];
        if (task.EvalFile is null && evalFraction > 0)
        {
            // By the text alone: one that several tasks label is held out of all, and every run holds out the same.
            var groups = train.ToLookup(line => IsHeldOut(line.Source.Text, evalFraction));
            (train, heldOut) = ([.. groups[false]], [.. groups[true]]);
            if (train.Count == 0 || heldOut.Count == 0)
            {
                throw new InvalidInputException(
                    $"{name}: {task.File}: eval_fraction {evalFraction} holds out {(heldOut.Count == 0 ? "no" : "every")} text; change it"
                );
            }
        }

        // Of texts that the split holds out a rare label may be all that there is of it.
        var labels = LabelsOf(name, task, task.EvalFile is null ? [.. train, .. heldOut] : train, own, taught);
        var ids = labels.Index().ToDictionary(label => label.Item, label => label.Index);
        return new TaskData(name, task, labels, Labelled(train), Labelled(heldOut))
        {
            LostSpans = train.Concat(heldOut).Sum(Lost),
            UnreadSpans = train.Concat(heldOut).Sum(line => line.Source.Spans is { } spans ? line.Encoded.Unread(spans) : 0),
        };

        async Task<List<(LabelledText Source, EncodedText Encoded)>> EncodeAsync(string path) =>
            await LabelReader
                .ReadAsync(path, task.Fields, cancellationToken)
                .Select(text => (text, encoder.Encode(text)))
                .ToListAsync(cancellationToken);

        List<Line> Labelled(List<(LabelledText Source, EncodedText Encoded)> lines) =>
            [.. lines.Select(line => new Line(line.Source, line.Encoded, Sequence(line.Source, line.Encoded)))];

        TraceTokens Sequence(LabelledText source, EncodedText encoded)
        {
            var taught = task.Teacher is null ? [] : new float[encoded.Rows.Length * labels.Length];
            return encoded.Unlabelled() with { Labels = new LabelTargets(number, encoded.Rows, Given(source, encoded), taught) };
        }

        float[] Given(LabelledText source, EncodedText encoded)
        {
            if (source.Label is null && source.Spans is null)
            {
                return [];
            }

            var given = new float[encoded.Rows.Length * labels.Length];
            if (source.Spans is { } spans)
            {
                foreach (var (item, label) in LabelEncoder.LabelsOf(encoded.Offsets, spans).Index())
                {
                    given[(item * labels.Length) + IdOf(label, source)] = 1;
                }
            }
            else
            {
                foreach (var (label, probability) in source.Label!)
                {
                    given[IdOf(label, source)] = (float)probability;
                }
            }

            return given;
        }

        int IdOf(string label, LabelledText source) =>
            ids.TryGetValue(label, out var id)
                ? id
                : throw new InvalidInputException(
                    $"{source.Where}: unknown label '{label}'; known in task {name}: {string.Join(", ", labels.Take(20))}"
                        + (labels.Length > 20 ? $" and {labels.Length - 20} more" : "")
                );
    }

    /// <summary>Digest of texts and labels.</summary>
    public byte[] Digest()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(JsonSerializer.SerializeToUtf8Bytes(Labels));
        foreach (var line in Train.Concat(HeldOut))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(line.Source.Text));
            hash.AppendData(MemoryMarshal.AsBytes(line.Sequence.Ids.AsSpan()));
            hash.AppendData(MemoryMarshal.AsBytes(line.Sequence.Labels!.Given.AsSpan()));
        }

        hash.AppendData(BitConverter.GetBytes(HeldOut.Count));
        return hash.GetHashAndReset();
    }

    /// <summary>A line on the task's data.</summary>
    public string Describe()
    {
        var unlabelled = Train.Count(line => line.Sequence.Labels!.Given.Length == 0);
        var without = unlabelled == 0 ? "" : FormattableString.Invariant($" ({unlabelled:N0} without labels)");
        var lost = LostSpans == 0 ? "" : $"; {Counted.Of(LostSpans, "span")} share a token with another, which has its label";
        var cut = Train.Concat(HeldOut).Count(line => line.Encoded.IsCut);
        var unread = UnreadSpans == 0 ? "" : $", with {Counted.Of(UnreadSpans, "span")} behind that";
        return $"{Name}: {Counted.Of(Train.Count, "text")}{without}, {Counted.Of(HeldOut.Count, "text")} held out, "
            + $"{Labels.Count} labels{lost}{(cut == 0 ? "" : $"; {Counted.Of(cut, "text")} cut to max_length{unread}")}";
    }

    static int Lost((LabelledText Source, EncodedText Encoded) line)
    {
        if (line.Source.Spans is not { Count: > 0 } spans)
        {
            return 0;
        }

        var tokens = line.Encoded.Offsets.Zip(LabelEncoder.LabelsOf(line.Encoded.Offsets, spans)).ToList();
        return spans.Count(span =>
            line.Encoded.Unread([span]) == 0
            && !tokens.Any(token => token.First.Start < span.End && token.First.End > span.Start && token.Second == span.Label)
        );
    }

    static bool IsHeldOut(string text, double fraction) =>
        XxHash64.HashToUInt64(MemoryMarshal.AsBytes(text.AsSpan())) / (double)ulong.MaxValue < fraction;

    /// <summary>A teacher's, where there is one: a file may lack a rare label. Else those of the file, in the order of a head that has
    /// them.</summary>
    static string[] LabelsOf(
        string name,
        LabelTask task,
        List<(LabelledText Source, EncodedText Encoded)> lines,
        IReadOnlyList<string>? own,
        IReadOnlyList<string>? taught
    )
    {
        var seen = (
            task.Labels.Count > 0
                ? task.Labels
                : lines.SelectMany(line => line.Source.Label?.Keys ?? line.Source.Spans?.Select(span => span.Label) ?? [])
        ).ToHashSet();
        if (task.Kind == LabelKind.Token && seen.Count > 0)
        {
            seen.Add(LabelEncoder.Outside);
        }

        if (taught is not null && (task.Labels.Count > 0 ? !seen.SetEquals(taught) : !seen.IsSubsetOf(taught)))
        {
            throw new InvalidInputException(
                $"{name}: teacher {task.Teacher} has other labels: it knows {string.Join(", ", taught.Take(20))}, and the task has "
                    + string.Join(", ", seen.Order(StringComparer.Ordinal).Take(20))
            );
        }

        if (task.Labels.Count == 0 && taught is null && seen.Count < 2)
        {
            throw new InvalidInputException(
                seen.Count == 0
                    ? $"{name}: {task.File}: has no labels at all; learn from a teacher (teacher: DIR), or name the field with label"
                    : $"{name}: {task.File}: has the one label '{seen.First()}'; there is nothing to tell apart"
            );
        }

        var keeps =
            own is not null
            && (taught is null ? seen.IsSubsetOf(own) : own.ToHashSet().SetEquals(taught))
            && (task.Labels.Count == 0 || task.Labels.SequenceEqual(own));
        return keeps ? [.. own!]
            : task.Labels.Count > 0 ? [.. task.Kind == LabelKind.Token ? task.Labels.Prepend(LabelEncoder.Outside).Distinct() : task.Labels]
            : taught is not null ? [.. taught]
            :
            [
                .. seen.OrderBy(
                    label => (task.Kind == LabelKind.Token && label == LabelEncoder.Outside ? "" : "_") + label,
                    StringComparer.Ordinal
                ),
            ];
    }
}
