using System.Globalization;
using TraceDistill.Text.Errors;

namespace TraceDistill.Training.Objectives.States;

/// <summary>
/// Which layer of the teacher each layer of the student is compared with, counted from 0: <c>even</c>, every layer of the student with one
/// of the teacher's at even distances, the last with the last (DistilBERT's every second layer); <c>last</c> or <c>last:K</c>, the last K
/// of both in their order; or pairs such as <c>0:1, 2:5</c>, student and teacher.
/// </summary>
public sealed record LayerMap : IParsable<LayerMap>
{
    const string EvenWord = "even",
        LastWord = "last";

    /// <summary>Every layer of the student.</summary>
    public static LayerMap Even { get; } = new(EvenWord);

    /// <summary>The last layer of both.</summary>
    public static LayerMap Last { get; } = new(LastWord);

    LayerMap(string text) => Text = text;

    /// <summary>As a recipe has it.</summary>
    public string Text { get; }

    /// <summary>The pairs of two models.</summary>
    /// <param name="student">Its layers.</param>
    /// <param name="teacher">Its layers.</param>
    /// <exception cref="InvalidInputException">One of them has fewer layers than the map names.</exception>
    public IReadOnlyList<(int Student, int Teacher)> Of(int student, int teacher)
    {
        if (WhyNot(student, teacher) is { } reason)
        {
            throw new InvalidInputException(reason);
        }

        return Text == EvenWord ? [.. Enumerable.Range(1, student).Select(i => (i - 1, (((i * teacher) + student - 1) / student) - 1))]
            : LastOf(Text) is { } count ? [.. Enumerable.Range(1, count).Select(i => (student - count + i - 1, teacher - count + i - 1))]
            : PairsOf(Text)!;
    }

    /// <summary>Says in a line why two models do not have the layers.</summary>
    /// <returns>Null where they have.</returns>
    public string? WhyNot(int student, int teacher)
    {
        var isThere = LastOf(Text) is { } count
            ? count <= Math.Min(student, teacher)
            : Text == EvenWord || PairsOf(Text)!.All(pair => pair.Student < student && pair.Teacher < teacher);
        return isThere
            ? null
            : $"objectives: layers: {Text} goes beyond the student's {student} or the teacher's {teacher} layers, which count from 0";
    }

    public static LayerMap Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var result)
            ? result
            : throw new FormatException(
                $"\"{s}\" is no map of layers: say even, last, last:K, or pairs of student:teacher such as 0:1, 2:5"
            );

    public static bool TryParse(string? s, IFormatProvider? provider, out LayerMap result)
    {
        result = new LayerMap(s ?? "");
        return s is not null && (s == EvenWord || LastOf(s) is not null || PairsOf(s) is not null);
    }

    public override string ToString() => Text;

    static int? LastOf(string text) =>
        text == LastWord ? 1
        : text.StartsWith(LastWord + ":", StringComparison.Ordinal) && Number(text[(LastWord.Length + 1)..]) is > 0 and var count ? count
        : null;

    static List<(int Student, int Teacher)>? PairsOf(string text)
    {
        var pairs = new List<(int, int)>();
        foreach (var pair in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (pair.Split(':') is not [var student, var teacher] || Number(student) is not { } of || Number(teacher) is not { } from)
            {
                return null;
            }

            pairs.Add((of, from));
        }

        return pairs;
    }

    static int? Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
