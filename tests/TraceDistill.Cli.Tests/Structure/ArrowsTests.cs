using System.Reflection;
using Xunit;

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>Projects form a stack, and so do the folders in each: no two places use each other, by the types that they name.</summary>
public sealed class ArrowsTests
{
    /// <summary>The projects, and those that each may use, directly or through others.</summary>
    static readonly Dictionary<string, string[]> Below = new()
    {
        ["Text"] = [],
        ["Data"] = ["Text"],
        ["Evaluation"] = ["Data", "Text"],
        ["Teachers"] = ["Data", "Text"],
        ["Models"] = ["Data", "Text"],
        ["Training"] = ["Models", "Data", "Text"],
        ["Inference"] = ["Models", "Data", "Text"],
        ["Serving"] = ["Inference", "Models", "Data", "Text"],
        ["Cli"] = ["Serving", "Inference", "Training", "Evaluation", "Models", "Teachers", "Data", "Text"],
    };

    public static TheoryData<string> Projects => [.. Below.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Folders_OfAProject_DoNotUseEachOther(string project)
    {
        var references = TypeReferences.Of(Load(project), type => ProjectOf(type) == project);

        var cycles = Layers.Cycles(references, type => type.Namespace!).ToList();
        Assert.True(cycles.Count == 0, string.Join('\n', cycles));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Projects_UseThoseBelowThemAlone(string project)
    {
        var wrong = TypeReferences
            .Of(Load(project), type => ProjectOf(type) is not null)
            .Where(reference => ProjectOf(reference.To) is { } used && used != project && !Below[project].Contains(used))
            .Select(reference => $"{reference.From} names {reference.To}")
            .ToList();

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public void Cycles_OfTwoFolders_NameThemAndTheTypesThatMakeThem()
    {
        TypeReference[] references = [new(typeof(Low), typeof(High)), new(typeof(High), typeof(Low)), new(typeof(High), typeof(Middle))];

        var cycle = Assert.Single(Layers.Cycles(references, type => type.Name));

        Assert.Equal("High, Low use each other:\n  High -> Low: High names Low\n  Low -> High: Low names High", cycle);
    }

    /// <summary>Each way in which a type can name another is one reference.</summary>
    [Theory]
    [InlineData(typeof(InField))]
    [InlineData(typeof(InGenericArgument))]
    [InlineData(typeof(InMethodBody))]
    [InlineData(typeof(InLambda))]
    [InlineData(typeof(InIterator))]
    [InlineData(typeof(InAttribute))]
    [InlineData(typeof(InStaticCall))]
    public void References_AWayToNameAType_IsSeen(Type from)
    {
        var references = TypeReferences.Of(typeof(ArrowsTests).Assembly, type => type == from || type == typeof(Low));

        Assert.Equal([new TypeReference(from, typeof(Low))], references);
    }

    static Assembly Load(string project) => Assembly.Load(project == "Cli" ? "tracedistill" : $"TraceDistill.{project}");

    static string? ProjectOf(Type type) =>
        type.Namespace?.Split('.') is ["TraceDistill", var project, ..] && Below.ContainsKey(project) ? project : null;
}
