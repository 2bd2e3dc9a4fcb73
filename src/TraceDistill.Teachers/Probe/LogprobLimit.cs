using System.Globalization;
using System.Text.RegularExpressions;

namespace TraceDistill.Teachers.Probe;

/// <summary>
/// Finds the most alternatives that a server grants. Refusals mostly name the limit; where they do not, it is searched for by halves.
/// </summary>
static partial class LogprobLimit
{
    /// <summary>More than anybody needs; a server that grants so many counts as one without a limit.</summary>
    public const int Most = 1000;

    /// <param name="granted">Alternatives known to be granted.</param>
    /// <param name="grantsAsync">Returns the number given where so many are asked for; 0 and its words where the server refuses.</param>
    /// <returns>Null where there is no limit.</returns>
    public static async Task<int?> AboveAsync(int granted, Func<int, Task<(int Granted, string Refusal)>> grantsAsync)
    {
        if (granted >= Most)
        {
            return null;
        }

        var (most, refusal) = await grantsAsync(Most);
        return most >= Most ? null
            : most > granted ? most
            : await SearchAsync(granted, Most, refusal, grantsAsync);
    }

    /// <param name="refused">Alternatives that the server refused to give.</param>
    /// <param name="refusal">The server's words.</param>
    /// <param name="grantsAsync">As above.</param>
    /// <returns>0 where it grants none.</returns>
    public static Task<int> BelowAsync(int refused, string refusal, Func<int, Task<(int Granted, string Refusal)>> grantsAsync) =>
        SearchAsync(0, refused, refusal, grantsAsync);

    static async Task<int> SearchAsync(int granted, int refused, string refusal, Func<int, Task<(int Granted, string Refusal)>> grantsAsync)
    {
        var next = Named(refusal, granted, refused);
        if (next == granted && granted > 0)
        {
            return granted;
        }

        for (var isNamed = next is not null; refused - granted > 1; isNamed = false)
        {
            var asked = isNamed ? next!.Value : (granted + refused) / 2;
            var (given, _) = await grantsAsync(asked);
            if (given >= asked)
            {
                granted = asked;
                if (isNamed)
                {
                    break;
                }
            }
            else
            {
                refused = asked;
            }
        }

        return granted;
    }

    /// <summary>The largest number in the server's words that can be the limit.</summary>
    static int? Named(string refusal, int least, int below) =>
        Numbers()
            .Matches(refusal)
            .Select(match => int.Parse(match.Value, CultureInfo.InvariantCulture))
            .Where(number => number >= Math.Max(1, least) && number < below)
            .Select(number => (int?)number)
            .Max();

    [GeneratedRegex(@"\b[0-9]{1,4}\b", RegexOptions.None, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Numbers();
}
