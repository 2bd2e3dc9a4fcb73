using System.Text.RegularExpressions;
using TraceDistill.Text.Errors;

namespace TraceDistill.Training;

/// <summary>The weights that <c>frozen_parameters</c> names.</summary>
static class FrozenSelection
{
    /// <summary>Thousands of times what a pattern needs for a weight's name.</summary>
    static readonly TimeSpan MatchLimit = TimeSpan.FromSeconds(1);

    /// <summary>Returns whether a text can be read as a regular expression.</summary>
    public static bool IsPattern(string text)
    {
        try
        {
            _ = new Regex(text, RegexOptions.CultureInvariant, MatchLimit);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    static bool IsFound(string pattern, string name)
    {
        try
        {
            return Regex.IsMatch(name, pattern, RegexOptions.CultureInvariant, MatchLimit);
        }
        catch (RegexMatchTimeoutException slow)
        {
            throw new InvalidInputException(
                $"frozen_parameters: \"{pattern}\" takes more than "
                    + $"{MatchLimit.TotalSeconds:0} s to look for in {name}; give a simpler pattern",
                slow
            );
        }
    }

    /// <param name="patterns">Regular expressions.</param>
    /// <param name="names">Of all weights of the model.</param>
    /// <returns>Names of all weights in which a pattern is found, anywhere in the name.</returns>
    /// <exception cref="InvalidInputException">A pattern is found nowhere, or nothing is left to train.</exception>
    public static IReadOnlySet<string> Names(IReadOnlyList<string> patterns, IReadOnlyCollection<string> names)
    {
        var frozen = new HashSet<string>();
        foreach (var pattern in patterns)
        {
            string[] found = [.. names.Where(name => IsFound(pattern, name))];
            if (found.Length == 0)
            {
                var nearest = NearestName.Of(pattern, names.SelectMany(name => name.Split('.').Append(name)).Distinct());
                var hint = nearest is null ? $"names are like {string.Join(", ", names.Take(3))}" : $"did you mean \"{nearest}\"?";
                throw new InvalidInputException($"frozen_parameters: no parameter's name has \"{pattern}\" in it; {hint}");
            }

            frozen.UnionWith(found);
        }

        return frozen.Count < names.Count
            ? frozen
            : throw new InvalidInputException("frozen_parameters: every parameter of the model is frozen; leave some trainable");
    }
}
