using System.Globalization;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;

namespace TraceDistill.Teachers.Resilience;

/// <summary>
/// Reads how long an account has nothing left: <c>x-ratelimit-remaining-requests|tokens</c> with <c>x-ratelimit-reset-requests|tokens</c>
/// (OpenAI, Azure and those that imitate them), <c>x-ratelimit-remaining</c> with <c>x-ratelimit-reset</c> (OpenRouter), and
/// <c>ratelimit-remaining</c> with <c>ratelimit-reset</c> (IETF draft).
/// </summary>
static partial class RateLimitHeaders
{
    /// <summary>Nobody renews a limit later than that without saying so in Retry-After.</summary>
    static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    static readonly (string Remaining, string Reset)[] Names =
    [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("ratelimit-remaining", "ratelimit-reset"),
    ];

    /// <returns>Zero where something is left, or nothing is said.</returns>
    public static TimeSpan WaitOf(HttpResponseHeaders headers, DateTimeOffset now)
    {
        var longest = TimeSpan.Zero;
        foreach (var (remaining, reset) in Names)
        {
            if (
                Value(headers, remaining) is { } left
                && double.TryParse(left, NumberStyles.Float, CultureInfo.InvariantCulture, out var amount)
                && amount <= 0
                && Value(headers, reset) is { } text
                && Duration(text, now) is { } wait
                && wait > longest
                && wait <= Longest
            )
            {
                longest = wait;
            }
        }

        return longest;
    }

    /// <summary>
    /// Such as <c>6m0s</c>, <c>120ms</c>, <c>1.5</c> seconds, or a moment in Unix seconds or milliseconds; null where it is none of these.
    /// </summary>
    public static TimeSpan? Duration(string text, DateTimeOffset now)
    {
        const double FirstUnixSeconds = 1e9;
        const double FirstUnixMilliseconds = 1e12;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            // In numbers: a moment may lie beyond the last year of a date.
            var passed = now - DateTimeOffset.UnixEpoch;
            return number switch
            {
                < FirstUnixSeconds => TimeSpan.FromSeconds(number),
                < FirstUnixMilliseconds => TimeSpan.FromSeconds(number - passed.TotalSeconds),
                < 1e15 => TimeSpan.FromMilliseconds(number - passed.TotalMilliseconds),
                _ => null,
            };
        }

        var parts = Parts().Match(text);
        if (!parts.Success || text.Length == 0)
        {
            return null;
        }

        var seconds = 0.0;
        for (var i = 0; i < parts.Groups[1].Captures.Count; i++)
        {
            seconds +=
                double.Parse(parts.Groups[1].Captures[i].Value, CultureInfo.InvariantCulture)
                * parts.Groups[2].Captures[i].Value switch
                {
                    "ms" => 0.001,
                    "s" => 1,
                    "m" => 60,
                    "h" => 3600,
                    _ => 86_400,
                };
        }

        return seconds < TimeSpan.MaxValue.TotalSeconds ? TimeSpan.FromSeconds(seconds) : null;
    }

    static string? Value(HttpResponseHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values) ? values.ToString().Trim() : null;

    [GeneratedRegex(@"^(?:([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h|d))+$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Parts();
}
