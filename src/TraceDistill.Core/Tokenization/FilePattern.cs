using System.Text.RegularExpressions;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Tokenization;

/// <summary>Regular expressions from tokenizer files: somebody else's patterns over somebody else's text, so that time is bounded.</summary>
static class FilePattern
{
    /// <summary>A thousand times what any published pattern takes for a match.</summary>
    static readonly TimeSpan MatchLimit = TimeSpan.FromSeconds(10);

    /// <exception cref="ArgumentException">The pattern is malformed.</exception>
    public static Regex Compile(string pattern) => new(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant, MatchLimit);

    /// <summary>What all matches of a text may take together: a hundredth of the usual speed.</summary>
    public static TimeSpan TimeFor(int characters) => MatchLimit + TimeSpan.FromMicroseconds(10.0 * characters);

    /// <param name="origin">File and field.</param>
    public static InvalidInputException TooSlow(string origin, string pattern, int characters, RegexMatchTimeoutException slow) =>
        new($"{origin}: the regular expression {pattern} takes more than {MatchLimit.TotalSeconds:0} s over {characters:N0} characters; fetch the file from its publisher", slow);
}
