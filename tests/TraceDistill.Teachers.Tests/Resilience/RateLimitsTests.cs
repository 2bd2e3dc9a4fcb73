using System.Net;
using TraceDistill.Teachers.Resilience;
using Xunit;

namespace TraceDistill.Teachers.Tests.Resilience;

public sealed class RateLimitsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(30)]
    [InlineData(600)]
    [InlineData(6000)]
    public void WaitFor_RequestsAMinute_HoldInEveryMinuteAndAreUsedUp(int perMinute)
    {
        var limits = new RateLimits(perMinute, tokensPerMinute: null);
        var sent = new List<double>();
        for (var now = TimeSpan.Zero; now < TimeSpan.FromMinutes(5); now += Later(limits.WaitFor(10, now)))
        {
            limits.Send(10, now);
            sent.Add(now.TotalSeconds);
        }

        var burst = Math.Max(1, perMinute / 60.0);
        Assert.InRange(sent.Count, 5 * perMinute - 1, (5 * perMinute) + burst);
        var most = perMinute + (int)burst + 1;
        Assert.All(sent.Zip(sent.Skip(most)), pair => Assert.InRange(pair.Second - pair.First, 59.999, double.MaxValue));
    }

    [Fact]
    public void WaitFor_TokensAMinute_CountsWhatAnswersTookAndNotWhatWasGuessed()
    {
        var limits = new RateLimits(requestsPerMinute: null, tokensPerMinute: 60_000);
        var now = TimeSpan.Zero;
        var tokens = 0;
        for (var i = 0; now < TimeSpan.FromMinutes(10); i++)
        {
            var estimate = limits.Estimate(promptTokens: 100, maxTokens: 4000);
            limits.Send(estimate, now);
            limits.Settle(estimate, promptTokens: 50, completionTokens: 300 + (i % 3 * 400), now);
            tokens += 50 + 300 + (i % 3 * 400);
            now += limits.WaitFor(limits.Estimate(100, 4000), now);
        }

        Assert.InRange(tokens / now.TotalMinutes, 59_000, 61_000);
    }

    [Fact]
    public void Refund_RefusedRequest_CostsNoTokens()
    {
        var limits = new RateLimits(null, 600);
        limits.Send(3000, TimeSpan.Zero);
        Assert.Equal(300, limits.WaitFor(3000, TimeSpan.Zero).TotalSeconds, 1e-6);

        limits.Refund(3000, TimeSpan.Zero);

        Assert.Equal(TimeSpan.Zero, limits.WaitFor(3000, TimeSpan.Zero));
    }

    [Fact]
    public void TakeBack_RequestThatWasNotSent_CostsNoRequestEither()
    {
        var limits = new RateLimits(1, 600);
        limits.Send(300, TimeSpan.Zero);

        limits.TakeBack(300, TimeSpan.Zero);

        Assert.Equal(TimeSpan.Zero, limits.WaitFor(300, TimeSpan.Zero));
    }

    [Fact]
    public void PauseUntil_Earlier_DoesNotShorten()
    {
        var limits = new RateLimits(null, null);

        limits.PauseUntil(TimeSpan.FromSeconds(30));
        limits.PauseUntil(TimeSpan.FromSeconds(10));

        Assert.Equal(TimeSpan.FromSeconds(29), limits.WaitFor(1, TimeSpan.FromSeconds(1)));
        Assert.Equal(TimeSpan.Zero, limits.WaitFor(1, TimeSpan.FromSeconds(31)));
    }

    [Theory]
    [InlineData("1s", 1.0)]
    [InlineData("6m0s", 360.0)]
    [InlineData("120ms", 0.12)]
    [InlineData("1h2m3.5s", 3723.5)]
    [InlineData("59.7", 59.7)]
    [InlineData("1577836830", 30.0)] // 2020-01-01T00:00:30Z
    [InlineData("1577836830500", 30.5)]
    [InlineData("soon", null)]
    [InlineData("", null)]
    [InlineData("-3", null)]
    [InlineData("999999999999999d", null)]
    public void Duration_AnyFormInUse_IsRead(string text, double? seconds) =>
        Assert.Equal(seconds, RateLimitHeaders.Duration(text, new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero))?.TotalSeconds);

    [Theory]
    [InlineData("x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "20s", 20)]
    [InlineData("X-RateLimit-Remaining-Tokens", "0", "X-RateLimit-Reset-Tokens", "1m30s", 90)]
    [InlineData("RateLimit-Remaining", "0", "RateLimit-Reset", "5", 5)]
    [InlineData("x-ratelimit-remaining-tokens", "12", "x-ratelimit-reset-tokens", "1m30s", 0)]
    [InlineData("x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-requests", "1m30s", 0)]
    [InlineData("x-ratelimit-remaining-tokens", "none", "x-ratelimit-reset-tokens", "1m30s", 0)]
    [InlineData("x-ratelimit-remaining", "0", "x-ratelimit-reset", "40h", 0)]
    [InlineData("x-ratelimit-remaining", "0", "x-ratelimit-reset", "300000000000", 0)] // Seconds until after the year 9999.
    [InlineData("x-ratelimit-remaining", "0", "x-ratelimit-reset", "900000000000000", 0)] // Milliseconds.
    public void WaitOf_NothingLeft_IsHowLong(string remaining, string left, string reset, string when, double seconds)
    {
        using var response = new HttpResponseMessage(HttpStatusCode.OK);
        response.Headers.TryAddWithoutValidation(remaining, left);
        response.Headers.TryAddWithoutValidation(reset, when);

        Assert.Equal(seconds, RateLimitHeaders.WaitOf(response.Headers, DateTimeOffset.UnixEpoch).TotalSeconds);
    }

    static TimeSpan Later(TimeSpan wait) => wait > TimeSpan.Zero ? wait : TimeSpan.FromMilliseconds(0.1);
}
