using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Binding;

/// <summary>Collects everything that is wrong with the user's settings, so that all of it is reported at once.</summary>
sealed class ProblemList
{
    readonly List<(SourceLocation Location, string Key, string Message)> _problems = [];

    /// <summary>
    /// Notes one problem of the setting <paramref name="key"/>: in a recipe after its stage's
    /// name and a dot, dotted where it is nested, empty for the whole.
    /// </summary>
    /// <remarks>What is written once is reported once, however many stages <c>like</c> and matrices make from it.</remarks>
    public void Add(SourceLocation location, string key, string message)
    {
        if (!_problems.Any(known => known.Location == location && known.Message == message && WithoutStage(known.Key) == WithoutStage(key)))
        {
            _problems.Add((location, key, message));
        }
    }

    /// <summary>
    /// Throws when anything is wrong: the problem itself when it is one, else a count and one
    /// line for each, from the first line of the file to the last.
    /// </summary>
    /// <exception cref="InvalidInputException">There are problems.</exception>
    public void ThrowIfAny(string what)
    {
        string[] lines =
        [
            .. _problems.OrderBy(problem => problem.Location.Line).ThenBy(problem => problem.Location.Column).Select(Describe),
        ];
        if (lines.Length > 0)
        {
            throw new InvalidInputException(lines.Length == 1 ? lines[0] : $"{what}: {lines.Length} problems\n{string.Join('\n', lines)}");
        }
    }

    static string WithoutStage(string key) => key.Split('.', 2) is [_, var rest] ? rest : "";

    /// <summary>An option's name already says which setting it is.</summary>
    static string Describe((SourceLocation Location, string Key, string Message) problem)
    {
        var (location, key, message) = problem;
        var option = location.Line == 0 ? location.Source.TrimStart('-').Replace('-', '_').ToLowerInvariant() : "";
        var rest =
            key == option ? ""
            : option.Length > 0 && key.StartsWith(option + ".", StringComparison.Ordinal) ? key[(option.Length + 1)..]
            : key;
        return rest.Length == 0 ? $"{location}: {message}" : $"{location}: {rest}: {message}";
    }
}
