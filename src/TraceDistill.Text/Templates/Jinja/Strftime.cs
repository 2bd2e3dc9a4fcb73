using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>C's <c>strftime</c> with English names, as chat templates write dates.</summary>
static class Strftime
{
    /// <summary>Characters that a field of two may become, such as a date for <c>%F</c>.</summary>
    public const int LongestField = 10;

    public static string Format(DateTimeOffset now, string format)
    {
        var text = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            var unpadded = format[++i] == '-' && i + 1 < format.Length;
            var field = Field(now, format[unpadded ? ++i : i]);
            text.Append(
                unpadded && field.Length > 1
                    ? field.TrimStart('0') is { Length: > 0 } digits
                        ? digits
                        : "0"
                    : field
            );
        }

        return text.ToString();
    }

    static string Field(DateTimeOffset now, char field) =>
        field switch
        {
            'Y' => Number(now.Year, 4),
            'y' => Number(now.Year % 100, 2),
            'm' => Number(now.Month, 2),
            'd' => Number(now.Day, 2),
            'e' => $"{now.Day, 2}",
            'H' => Number(now.Hour, 2),
            'I' => Number(((now.Hour + 11) % 12) + 1, 2),
            'M' => Number(now.Minute, 2),
            'S' => Number(now.Second, 2),
            'j' => Number(now.DayOfYear, 3),
            'p' => now.Hour < 12 ? "AM" : "PM",
            'B' => now.ToString("MMMM", CultureInfo.InvariantCulture),
            'b' => now.ToString("MMM", CultureInfo.InvariantCulture),
            'A' => now.ToString("dddd", CultureInfo.InvariantCulture),
            'a' => now.ToString("ddd", CultureInfo.InvariantCulture),
            'F' => now.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
            'T' => now.ToString("HH:mm:ss", CultureInfo.InvariantCulture),
            'z' => now.ToString("zzz", CultureInfo.InvariantCulture).Replace(":", ""),
            '%' => "%",
            _ => throw new JinjaFailure($"strftime_now does not know %{field}"),
        };

    static string Number(int value, int digits) => value.ToString($"D{digits}", CultureInfo.InvariantCulture);
}
