using TraceDistill.Evaluation.Statistics;

namespace TraceDistill.Cli.Reporting.Markup;

/// <summary>Forms of figures for people.</summary>
static class Show
{
    /// <summary>Stands where there is no figure.</summary>
    public const string Nothing = "–";

    /// <summary>0.934 → 93.4%.</summary>
    public static string Percent(double share) => $"{100 * share:0.0}%";

    /// <summary>The bounds of a share: 92.2–94.4%.</summary>
    public static string Percent(Interval interval) => $"{100 * interval.Low:0.0}–{100 * interval.High:0.0}%";

    /// <summary>A difference of shares, in percentage points: +4.1 or −0.3.</summary>
    public static string Points(double difference) => Signed(100 * difference, "0.0");

    /// <summary>The bounds of such a difference: +2.9 to +5.3.</summary>
    public static string Points(Interval interval) => $"{Points(interval.Low)} to {Points(interval.High)}";

    /// <summary>A difference in nats a token: +0.0031 or −0.0120.</summary>
    public static string Nats(double difference) => Signed(difference, "0.0000");

    /// <summary>A number with a sign that is typographically one.</summary>
    public static string Signed(double value, string format)
    {
        var digits = Math.Abs(value).ToString(format);
        return digits.Any(digit => digit is >= '1' and <= '9') ? (value < 0 ? "−" : "+") + digits : digits;
    }

    /// <summary>12345 → 12,345.</summary>
    public static string Count(double count) => $"{count:#,0}";

    /// <summary>Parameters and tokens: 3.41 M.</summary>
    public static string Large(double count) =>
        count switch
        {
            >= 1e9 => $"{count / 1e9:0.00} G",
            >= 1e6 => $"{count / 1e6:0.00} M",
            >= 1e4 => $"{count / 1e3:0} k",
            _ => Count(count),
        };

    /// <summary>A p value, never as zero.</summary>
    public static string PValue(double p) =>
        p switch
        {
            < 0.0001 => "< 0.0001",
            < 0.1 => $"{p:0.0000}",
            _ => $"{p:0.00}",
        };

    /// <summary>The same in a sentence: p = 0.73 or p &lt; 0.0001.</summary>
    public static string PEquals(double p) => PValue(p) is ['<', ..] bound ? $"p {bound}" : $"p = {PValue(p)}";

    /// <summary>0.084 → 84 ms, 12.3 → 12 s; null → –.</summary>
    public static string Latency(double? seconds) =>
        seconds switch
        {
            null => Nothing,
            < 0.9995 => $"{1000 * seconds:0} ms",
            _ => Duration(seconds.Value),
        };

    /// <summary>An amount of money in whatever currency: 1,234 or 5.67 or 0.0089.</summary>
    public static string Money(double amount) =>
        amount.ToString(
            amount switch
            {
                >= 1000 => "#,0",
                >= 1 => "0.00",
                _ => "0.####",
            }
        );

    /// <summary>75.3 → 1 min 15 s.</summary>
    public static string Duration(double seconds) =>
        seconds switch
        {
            < 9.95 => $"{seconds:0.0} s",
            < 59.5 => $"{seconds:0} s",
            < 3599.5 => Two(seconds, 60, "min", "s"),
            _ => Two(seconds / 60, 60, "h", "min"),
        };

    static string Two(double amount, int size, string large, string small)
    {
        var (whole, rest) = Math.DivRem((long)Math.Round(amount), size);
        return rest == 0 ? $"{whole} {large}" : $"{whole} {large} {rest} {small}";
    }
}
