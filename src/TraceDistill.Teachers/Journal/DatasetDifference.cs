using System.Text.Json;
using TraceDistill.Data.Shards;
using TraceDistill.Text.Errors;

namespace TraceDistill.Teachers.Journal;

/// <summary>Keeps traces that were collected in different ways out of one data set.</summary>
static class DatasetDifference
{
    /// <param name="path">Where the present traces are.</param>
    /// <param name="present">Facts that they have in common.</param>
    /// <param name="wanted">Facts that those to be added have in common.</param>
    /// <param name="remedy">What to do about it.</param>
    /// <exception cref="InvalidInputException">The two differ; names every setting that does.</exception>
    public static void Ensure(
        string path,
        DatasetDescription present,
        DatasetDescription wanted,
        string remedy = "name another folder with --out"
    )
    {
        if (present == wanted)
        {
            return;
        }

        using var there = JsonSerializer.SerializeToDocument(present);
        using var now = JsonSerializer.SerializeToDocument(wanted);
        var differences = there
            .RootElement.EnumerateObject()
            .Concat(now.RootElement.EnumerateObject())
            .Select(setting => setting.Name)
            .Distinct()
            .Select(name => (Name: name, There: ValueOf(there, name), Now: ValueOf(now, name)))
            .Where(setting => setting.There != setting.Now)
            .Select(setting => $"{JsonNamingPolicy.SnakeCaseLower.ConvertName(setting.Name)} {setting.There} there, {setting.Now} now");
        throw new InvalidInputException($"{path}: holds traces collected in another way ({string.Join("; ", differences)}); {remedy}");
    }

    static string ValueOf(JsonDocument dataset, string name) =>
        dataset.RootElement.TryGetProperty(name, out var value) ? value.GetRawText() : "none";
}
