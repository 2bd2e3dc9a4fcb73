using System.Text.RegularExpressions;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Structure;

/// <summary>Pointers stay in the kernels, and in the custom autograd functions that hand tensors to them.</summary>
public sealed partial class UnsafeCodeTests
{
    static readonly string[] Annexes =
    [
        "src/TraceDistill.Inference/Kernels",
        "src/TraceDistill.Models/Cpu",
        "src/TraceDistill.Models/Operations",
    ];

    [Fact]
    public void UnsafeCode_OfTheSources_StandsInTheAnnexesAlone()
    {
        var found = Files("*.cs").Where(file => IsUnsafe(Read(file))).ToList();

        Assert.All(Annexes, annex => Assert.Contains(found, file => file.StartsWith($"{annex}/", StringComparison.Ordinal)));
        Assert.DoesNotContain(found, file => !Annexes.Any(annex => file.StartsWith($"{annex}/", StringComparison.Ordinal)));
    }

    [Fact]
    public void Projects_WithoutAnAnnex_DoNotAllowUnsafeCode() =>
        Assert.Equal(
            ["src/TraceDistill.Inference/TraceDistill.Inference.csproj", "src/TraceDistill.Models/TraceDistill.Models.csproj"],
            Files("*.csproj").Concat(Files("*.props")).Where(file => Read(file).Contains("AllowUnsafeBlocks", StringComparison.Ordinal))
        );

    [Theory]
    [InlineData("static unsafe class X;", true)]
    [InlineData("    public static unsafe void* Address() // of memory", true)]
    [InlineData("        unsafe", true)]
    [InlineData("// unsafe", false)]
    [InlineData("x = \"script-src 'unsafe-inline'\";", false)]
    [InlineData("UnsafeCode.Run();", false)]
    public void Keyword_OfCode_IsFound(string line, bool expected) => Assert.Equal(expected, IsUnsafe(line));

    static bool IsUnsafe(string text) => Keyword().IsMatch(text);

    static string Read(string file) => File.ReadAllText(Path.Combine(TestPaths.RepositoryRoot, file));

    static IEnumerable<string> Files(string pattern) =>
        Directory
            .EnumerateFiles(Path.Combine(TestPaths.RepositoryRoot, "src"), pattern, SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(TestPaths.RepositoryRoot, file).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(file => !file.Split('/').Any(folder => folder is "bin" or "obj"))
            .Order(StringComparer.Ordinal);

    /// <summary>The keyword, with neither a comment nor a string before it on its line.</summary>
    [GeneratedRegex("^[^\"/]*\\bunsafe\\b(?!-)", RegexOptions.Multiline, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Keyword();
}
