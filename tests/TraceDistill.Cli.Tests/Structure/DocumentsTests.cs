using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>The README is an overview; details stand in the README of each project.</summary>
public sealed class DocumentsTests
{
    const int MostWords = 1_500;

    [Fact]
    public void Readme_OfTheRepository_IsShort()
    {
        var words = File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, "README.md"))
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

        Assert.InRange(words.Length, 100, MostWords - 1);
    }

    /// <summary>Test projects mirror those under <c>src</c> and need no description of their own.</summary>
    [Fact]
    public void Projects_OtherThanTests_HaveAReadmeThatBeginsWithTheirName()
    {
        var projects = new[] { "src", "tests" }
            .SelectMany(folder => Directory.GetDirectories(Path.Combine(TestPaths.RepositoryRoot, folder), "TraceDistill.*"))
            .Where(folder => !folder.EndsWith(".Tests", StringComparison.Ordinal))
            .ToList();

        Assert.True(projects.Count >= 11, $"only {projects.Count} projects found");
        Assert.All(projects, project => Assert.Equal($"# {Path.GetFileName(project)}", FirstLine(Path.Combine(project, "README.md"))));
    }

    static string? FirstLine(string path) => File.Exists(path) ? File.ReadLines(path).FirstOrDefault() : null;
}
