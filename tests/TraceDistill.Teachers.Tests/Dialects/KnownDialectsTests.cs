using TraceDistill.Teachers.Dialects;
using Xunit;

namespace TraceDistill.Teachers.Tests.Dialects;

public sealed class KnownDialectsTests
{
    [Fact]
    public void Help_OfADialect_NamesEveryOne() => Assert.Subset(Words(KnownDialects.Help), KnownDialects.Names.ToHashSet());

    static HashSet<string> Words(string help) => [.. help.Split([' ', ',', ':', ';', '(', ')'])];
}
