using TraceDistill.Teachers.Resilience;
using Xunit;

namespace TraceDistill.Teachers.Tests.Resilience;

public sealed class ResilienceOptionsTests
{
    [Theory]
    [InlineData(1000, 260)]
    [InlineData(int.MaxValue, 1_000_000)]
    public void TimeoutFor_AnyLength_IsOneThatATimerTakes(int maxTokens, double seconds)
    {
        var timeout = new ResilienceOptions().TimeoutFor(maxTokens);

        using var timer = new CancellationTokenSource(timeout, TimeProvider.System);
        Assert.Equal(seconds, timeout.TotalSeconds);
    }
}
