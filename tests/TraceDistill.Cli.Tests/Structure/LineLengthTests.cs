using System.Text.RegularExpressions;
using TraceDistill.Cli.Reporting;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>CSharpier breaks code at 140 columns, but neither comments nor strings, and does not say so.</summary>
public sealed partial class LineLengthTests
{
    const int Columns = 140;

    [Fact]
    public void Lines_OfSourcesAndTests_AreAtMost140ColumnsWide()
    {
        var root = TestPaths.RepositoryRoot;
        var files = new[] { "src", "tests" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder), "*.cs", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(root, file))
            .Where(file => !file.Split(Path.DirectorySeparatorChar).Any(folder => folder is "bin" or "obj" or "node_modules"))
            .ToList();

        var tooWide = files
            .SelectMany(file => TooWide(File.ReadAllText(Path.Combine(root, file))).Select(line => $"{file}:{line.Number}: {line.Width}"))
            .ToList();

        Assert.True(files.Count > 500, $"only {files.Count} files found");
        Assert.True(
            tooWide.Count == 0,
            $"{tooWide.Count} lines are wider than {Columns} columns (dotnet csharpier format src tests breaks code; "
                + $"break comments and strings by hand):\n{string.Join('\n', tooWide)}"
        );
    }

    /// <summary>What CSharpier does not see: build files, recipes, assets of the report, scripts and documents.</summary>
    [Fact]
    public void Lines_OfOtherHandWrittenFiles_AreAtMost140ColumnsWide()
    {
        var root = TestPaths.RepositoryRoot;
        string[] patterns = ["*.props", "*.targets", "*.csproj", "*.yaml", "*.yml", "*.css", "*.js", "*.sh", "*.md"];
        var files = new[] { "src", "tests", "prompts", "data", ".github" }
            .SelectMany(folder =>
                patterns.SelectMany(pattern => Directory.EnumerateFiles(Path.Combine(root, folder), pattern, SearchOption.AllDirectories))
            )
            .Concat(Directory.EnumerateFiles(Path.Combine(root, ".ci")))
            .Concat([Path.Combine(root, ".editorconfig"), Path.Combine(root, "README.md")])
            .Select(file => Path.GetRelativePath(root, file))
            .Where(file => !file.Split(Path.DirectorySeparatorChar).Any(folder => folder is "bin" or "obj" or "node_modules"))
            // A report's own.
            .Where(file => Path.GetFileName(file) != MethodFiles.MarkdownName)
            .ToList();

        var tooWide = files
            .SelectMany(file =>
                Lines(file, File.ReadAllText(Path.Combine(root, file)))
                    .Index()
                    .Where(line => Width(line.Item) > Columns)
                    .Select(line => $"{file}:{line.Index + 1}: {Width(line.Item)}")
            )
            .ToList();

        Assert.True(files.Count > 40, $"only {files.Count} files found");
        Assert.True(tooWide.Count == 0, $"{tooWide.Count} lines are wider than {Columns} columns:\n{string.Join('\n', tooWide)}");
    }

    /// <summary>In a document, commands, rows of tables and the targets of links are as wide as they have to be.</summary>
    [Theory]
    [InlineData("a.yaml", "LONGx", "LONGx")]
    [InlineData("a.md", "LONGx", "LONGx")]
    [InlineData("a.md", "| LONG |", "")]
    [InlineData("a.md", "```\nLONG\n```\nend", "|||end")]
    [InlineData("a.md", "see [this](LONG) and [that](LONG)", "see [this] and [that]")]
    public void Lines_OfADocument_AreWithoutCommandsTablesAndTargets(string file, string text, string expected) =>
        Assert.Equal(expected, string.Join('|', Lines(file, text)));

    [Theory]
    [InlineData(140, "")]
    [InlineData(141, "1: 141")]
    public void Width_OfALine_IsThatOfItsCharacters(int width, string expected) =>
        Assert.Equal(expected, Found(string.Concat(Enumerable.Repeat("😀", width)) + "\nshort\n"));

    /// <summary>Line breaks in a raw string literal are text, so that its lines are as wide as they have to be.</summary>
    [Theory]
    [InlineData("x = \"\"\"\n    LONG\n    \"\"\";\n", "")]
    [InlineData("x = $$\"\"\"LONG{{y}}\"\"\";", "")]
    [InlineData("x = $$\"\"\"LONG{{$$\"\"\"LONG{{y}}\"\"\"}}LONG\"\"\";", "")]
    [InlineData("x = \"\"\"\"LONG \"\"\" LONG\"\"\"\";", "")]
    [InlineData("LONGx(\"\"\"LONG\"\"\");", "1: 290")]
    [InlineData("x = \"\"\"y\"\"\";\n// LONG", "2: 143")]
    [InlineData("// \"\"\"\nLONGx\n// \"\"\"", "2: 141")]
    [InlineData("x = '\"';\nLONGx\nx = \"\";", "2: 141")]
    [InlineData("x = \"\\\"\\\"\\\"\";\nLONGx", "2: 141")]
    [InlineData("x = @\"\"\"\";\nLONGx\ny = @\"\"\"\";", "2: 141")]
    [InlineData("x = $\"{(y ? \"it's\" : \"\")}\";\nLONGx\ny = \"it's\";", "2: 141")]
    public void Line_WithinARawString_MayBeWider(string text, string expected) =>
        Assert.Equal(expected, Found(text.Replace("LONG", new string('x', Columns), StringComparison.Ordinal)));

    static IEnumerable<string> Lines(string file, string text)
    {
        var (isDocument, isCode) = (file.EndsWith(".md", StringComparison.Ordinal), false);
        foreach (var line in text.Split('\n'))
        {
            var isFence = line.StartsWith("```", StringComparison.Ordinal);
            isCode ^= isFence;
            yield return !isDocument ? line
            : isCode || isFence || line.StartsWith('|') ? ""
            : Target().Replace(line, "]");
        }
    }

    static string Found(string text) => string.Join(", ", TooWide(text).Select(line => $"{line.Number}: {line.Width}"));

    /// <summary>Lines that are too wide without the raw string literals on them.</summary>
    static IEnumerable<(int Number, int Width)> TooWide(string text)
    {
        var raw = Literals().Matches(text).Select(match => match.Groups["raw"]).Where(group => group.Success).ToList();
        var (start, number) = (0, 1);
        foreach (var line in text.Split('\n'))
        {
            var width = Width(line);
            if (width > Columns)
            {
                var end = start + line.Length;
                var within = raw.Where(literal => literal.Index < end && literal.Index + literal.Length > start)
                    .Sum(literal => Width(text[Math.Max(literal.Index, start)..Math.Min(literal.Index + literal.Length, end)]));
                if (width - within > Columns)
                {
                    yield return (number, width);
                }
            }
            (start, number) = (start + line.Length + 1, number + 1);
        }
    }

    static int Width(string text) => text.EnumerateRunes().Count();

    [GeneratedRegex(@"\]\([^)]*\)", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Target();

    /// <summary>
    /// Raw string literals, with those in their holes, and what may hold quotes that open none: comments, characters and other strings.
    /// </summary>
    [GeneratedRegex(
        """
            //[^\n]*
            | /\*.*?\*/
            | '(\\.[0-9a-fA-F]*|[^'\\\n])'
            | (?<raw>\$*(?<quotes>"{3,})(\$+\k<quotes>.*?\k<quotes>|.)*?(?<!")\k<quotes>(?!"))
            | (@\$?|\$@)"([^"]|"")*"
            | "(\\.|[^"\\\n])*"
            """,
        RegexOptions.Singleline | RegexOptions.IgnorePatternWhitespace | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex Literals();
}
