using System.Globalization;

namespace TraceDistill.Data.Contracts;

/// <summary>Numbers of things, in words for messages.</summary>
public static class Counted
{
    /// <returns>Such as <c>1 trace</c> and <c>2,000 traces</c>.</returns>
    /// <param name="noun">One of them; its plural ends in s.</param>
    public static string Of(long count, string noun) =>
        string.Create(CultureInfo.InvariantCulture, $"{count:#,0} {noun}{(count == 1 ? "" : "s")}");
}
