using TraceDistill.Teachers.Dialects;
using Xunit;

namespace TraceDistill.Teachers.Tests.Dialects;

public sealed class KnownDialectsTests
{
    [Fact]
    public void Help_OfADialect_NamesEveryOne() => Assert.All(KnownDialects.Names, name => Assert.Contains(name, KnownDialects.Help));
}
