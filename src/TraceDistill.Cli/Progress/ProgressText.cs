using System.Globalization;

namespace TraceDistill.Cli.Progress;

/// <summary>Words for how far a job is.</summary>
static class ProgressText
{
    /// <summary>Such as <c>1,200/5,000 traces · 310/s · 0:12 left · loss 0.31</c>.</summary>
    public static string Of(long done, long? total, string unit, RateEstimator rate, string? note)
    {
        var parts = new List<string> { Share(done, total, unit) };
        if (rate.Rate is { } perSecond && done != total)
        {
            parts.Add(
                perSecond >= 1
                    ? $"{perSecond.ToString(perSecond < 10 ? "0.0" : "#,0", CultureInfo.InvariantCulture)}/s"
                    : $"{1 / perSecond:0.0} s each"
            );
        }

        if (Left(done, total, rate) is { } left)
        {
            parts.Add(left);
        }

        if (note is not null)
        {
            parts.Add(note);
        }

        return string.Join(" · ", parts);
    }

    /// <summary>The most important part of it: <c>1,200/5,000 traces · 0:12 left</c>.</summary>
    public static string Short(long done, long? total, string unit, RateEstimator rate) =>
        Left(done, total, rate) is { } left ? $"{Share(done, total, unit)} · {left}" : Share(done, total, unit);

    static string Share(long done, long? total, string unit) =>
        total is null ? $"{Count(done)} {unit}" : $"{Count(done)}/{Count(total.Value)} {unit}";

    static string? Left(long done, long? total, RateEstimator rate) =>
        rate.TimeLeft(done, total) is { } left ? $"{Duration(left)} left" : null;

    /// <summary>Such as <c>0:42</c>, <c>12:05</c>, <c>3:07:09</c> or <c>5 days</c>.</summary>
    public static string Duration(TimeSpan time) =>
        time switch
        {
            { TotalDays: >= 2 } => $"{time.TotalDays:0} days",
            { TotalHours: >= 1 } => $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}",
            _ => $"{(int)time.TotalMinutes}:{time.Seconds:00}",
        };

    /// <summary>Such as <c>412 MB</c>.</summary>
    public static string Bytes(long bytes) =>
        bytes switch
        {
            >= 10_000_000_000 => $"{bytes / 1e9:0} GB",
            >= 1_000_000_000 => $"{bytes / 1e9:0.0} GB",
            >= 1_000_000 => $"{bytes / 1e6:0} MB",
            _ => $"{bytes / 1e3:0} kB",
        };

    static string Count(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
