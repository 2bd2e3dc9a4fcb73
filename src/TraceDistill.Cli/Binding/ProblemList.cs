using TraceDistill.Core.Errors;

namespace TraceDistill.Cli.Binding;

/// <summary>Collects everything that is wrong with the user's settings, so that all of it is told at once.</summary>
sealed class ProblemList
{
    readonly List<string> _problems = [];

    /// <summary>Whether anything is wrong so far.</summary>
    public bool Any => _problems.Count > 0;

    /// <summary>Notes one problem of the setting <paramref name="key"/> (dotted where it is nested, empty for the whole).</summary>
    public void Add(SourceLocation location, string key, string message)
    {
        var isNamedBefore = key.Length == 0 || location.Source == "--" + key.Replace('_', '-');
        var problem = isNamedBefore ? $"{location}: {message}" : $"{location}: {key}: {message}";
        if (!_problems.Contains(problem))
        {
            _problems.Add(problem);
        }
    }

    /// <summary>Throws when anything is wrong: the problem itself when it is one, else a count and one line for each.</summary>
    /// <exception cref="InvalidInputException">There are problems.</exception>
    public void ThrowIfAny(string what)
    {
        if (_problems.Count == 1)
        {
            throw new InvalidInputException(_problems[0]);
        }

        if (Any)
        {
            throw new InvalidInputException($"{what} has {_problems.Count} problems\n{string.Join('\n', _problems)}");
        }
    }
}
