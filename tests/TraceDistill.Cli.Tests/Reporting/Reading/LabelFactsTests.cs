using TraceDistill.Cli.Labelling;
using TraceDistill.Cli.Reporting.Reading;
using TraceDistill.Data.Statistics;
using TraceDistill.Evaluation.Statistics;
using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Reporting.Reading;

public sealed class LabelFactsTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Two seeds of a task are copies; another task, a kept checkpoint and a model of elsewhere are not copies of them.</summary>
    [Fact]
    public void Read_FoldersOfOneTraining_AreWaysOfTheirOwn()
    {
        var models = new Dictionary<string, string>
        {
            ["a"] = "student.1/kinds",
            ["b"] = "student.2/kinds",
            ["early"] = "student.1/kinds/checkpoint-20",
            ["other"] = "student.1/words",
            ["single"] = "teacher/kinds",
            ["known"] = "/models/known",
        };

        Assert.Equal(
            ["student/kinds .1 .2", "student/kinds/checkpoint-20 .1", "student/words .1", "teacher ", "known "],
            Ways(models).Select(way => $"{way.Name} {string.Join(' ', way.Copies.Select(copy => copy.Copy))}")
        );
        Assert.Equal(["student"], Ways(models.Take(2)).Select(way => way.Name));
    }

    IReadOnlyList<ClassifierWay> Ways(IEnumerable<KeyValuePair<string, string>> models)
    {
        var named = models.ToList();
        var scores = new ClassifierScores(
            LabelKind.Sequence,
            1,
            1,
            1,
            WilsonInterval.Of(1, 1),
            LabelScores.Of(["x", "y"], [new ScoredItem(new[] { 1f, 0 }, new[] { -0.1f, -2.4f }, default)]),
            null
        );
        new LabelResult
        {
            File = "texts.jsonl",
            Texts = 1,
            Labelled = 1,
            Models = named.ToDictionary(model => model.Key, _ => scores),
            Comparisons = [],
        }.Write(_folder.Path);
        var measured = Stage("scores", "label", named.ToDictionary(model => $"models.{model.Key}", model => model.Value));
        string[] trained = ["student.1", "student.2", "teacher"];
        return LabelFacts.Read(measured, [.. trained.Select(name => Stage(name, "classify", [])), measured])!.Ways;
    }

    StageFacts Stage(string name, string verb, Dictionary<string, string> settings) =>
        new()
        {
            Name = name,
            Verb = verb,
            Folder = _folder.Path,
            Seconds = 1,
            PeakMemoryBytes = 1,
            ProgramVersion = "1",
            Settings = settings,
        };
}
