using System.Text.RegularExpressions;
using TraceDistill.Cli.Binding;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Puts the values of a recipe's <c>parameters</c> in the place of <c>${name}</c>.</summary>
sealed partial class RecipeParameters(IReadOnlyList<ConfigEntry> parameters, ProblemList problems)
{
    /// <summary>A long value named a thousand times over comes to more than any recipe needs.</summary>
    const int MostCharacters = 1 << 20;

    long _characters;

    /// <param name="path">The key of <paramref name="node"/>, dotted, for messages.</param>
    public ConfigNode FillIn(ConfigNode node, string path) =>
        node switch
        {
            ConfigMap map => map with
            {
                Entries = [.. map.Entries.Select(entry => entry with { Value = FillIn(entry.Value, $"{path}.{entry.Key}") })],
            },
            ConfigList list => list with { Items = [.. list.Items.Select(item => FillIn(item, path))] },
            ConfigScalar { Text: { } text } scalar => FillIn(scalar, text, path),
            _ => node,
        };

    ConfigScalar FillIn(ConfigScalar scalar, string text, string path)
    {
        SourceLocation? given = null;
        var filled = Reference()
            .Replace(text, match =>
            {
                given ??= parameters.FirstOrDefault(parameter => parameter.Key == match.Groups[1].Value)?.Value.Location
                    is { Line: 0 } option
                    ? option
                    : null;
                return Value(match.Groups[1].Value, scalar, path);
            });
        return scalar with { Text = filled, Override = given };
    }

    string Value(string name, ConfigScalar user, string path)
    {
        switch (parameters.FirstOrDefault(parameter => parameter.Key == name)?.Value)
        {
            case ConfigScalar { Text: { } text }:
                _characters += text.Length;
                return _characters <= MostCharacters
                    ? text
                    : throw new InvalidInputException(
                        $"{user.Location}: {path}: the values of parameters come to more than {MostCharacters:N0} characters"
                    );
            case ConfigScalar:
                problems.Add(user.Location, path, $"the parameter \"{name}\" has no value: give it with --set {name}=VALUE");
                return "";
            case null:
                problems.Add(
                    user.Location,
                    path,
                    $"unknown parameter \"{name}\"; {NearestName.Suggestion(name, [.. parameters.Select(parameter => parameter.Key)])}"
                );
                return "";
            case var several:
                problems.Add(
                    several.Location.Line == 0 ? several.Location : user.Location,
                    path,
                    $"the parameter \"{name}\" is not a single value"
                );
                return "";
        }
    }

    [GeneratedRegex(@"\$\{([^{}]*)\}", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Reference();
}
