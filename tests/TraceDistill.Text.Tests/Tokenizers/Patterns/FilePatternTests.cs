using System.Text.RegularExpressions;
using TraceDistill.Text.Tokenizers.Patterns;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers.Patterns;

public sealed class FilePatternTests
{
    /// <summary>Ten seconds, and ten microseconds for each character.</summary>
    [Theory]
    [InlineData(0, 10_000)]
    [InlineData(1_000_000, 20_000)]
    public void Watch_MatchesThatTakeTooLongTogether_StopsThemAfterTheVeryMatch(int characters, int milliseconds)
    {
        var now = 5L;
        var watch = FilePattern.WatchFor(characters, () => now);

        now += milliseconds;
        watch.Look();

        now++;
        Assert.Throws<RegexMatchTimeoutException>(() => watch.Look());
    }
}
