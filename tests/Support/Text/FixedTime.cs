namespace TraceDistill.Tests.Support;

/// <summary>A clock that stands still, in UTC.</summary>
sealed class FixedTime(DateTimeOffset now) : TimeProvider
{
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override DateTimeOffset GetUtcNow() => now;
}
