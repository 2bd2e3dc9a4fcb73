using System.Text.RegularExpressions;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Tokenizers.Patterns;

/// <summary>
/// Regular expressions from tokenizer files: somebody else's patterns over somebody else's text, so that time is bounded.
/// </summary>
static class FilePattern
{
    /// <summary>A thousand times what any published pattern takes for a match.</summary>
    static readonly TimeSpan MatchLimit = TimeSpan.FromSeconds(10);

    /// <exception cref="ArgumentException">The pattern is malformed.</exception>
    public static Regex Compile(string pattern) => new(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant, MatchLimit);

    /// <summary>Begins to limit what all matches of a text take together: each alone has the limit of its pattern.</summary>
    /// <param name="characters">Of the text, at a hundredth of the usual speed.</param>
    /// <param name="clock">Gives milliseconds; the system's unless given.</param>
    public static Watch WatchFor(int characters, Func<long>? clock = null)
    {
        clock ??= SystemClock;
        return new Watch(clock() + (long)MatchLimit.TotalMilliseconds + (characters / 100), clock);
    }

    static readonly Func<long> SystemClock = () => Environment.TickCount64;

    /// <param name="origin">File and field.</param>
    public static InvalidInputException TooSlow(string origin, string pattern, int characters, RegexMatchTimeoutException slow) =>
        new(
            $"{origin}: the regular expression {pattern} takes more than {MatchLimit.TotalSeconds:0} "
                + $"s over {characters:N0} characters; fetch the file from its publisher",
            slow
        );

    /// <summary>The time that the matches of one text may still take.</summary>
    public readonly struct Watch(long end, Func<long> clock)
    {
        /// <summary>Called after each match: a few slow ones are as bad as many.</summary>
        /// <exception cref="RegexMatchTimeoutException">The time is up.</exception>
        public void Look()
        {
            if (clock() > end)
            {
                throw new RegexMatchTimeoutException();
            }
        }
    }
}
