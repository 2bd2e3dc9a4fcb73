using System.Text.RegularExpressions;

namespace TraceDistill.Cli.Binding;

/// <summary>
/// Replaces the key of a setting at the start of an error message by its command-line name, or by its place in the YAML file.
/// </summary>
static partial class SettingName
{
    /// <param name="message">Lines, each of which may begin with the key of the setting that it is about and a colon.</param>
    /// <param name="optionsType">The type of the options record.</param>
    /// <param name="settings">The settings as the user wrote them.</param>
    /// <returns>
    /// The message with <c>--max-steps: …</c> in place of <c>max_steps: …</c>, or
    /// <c>options.yaml:3:12: max_steps: …</c> where the setting stands in a file.
    /// </returns>
    public static string InMessage(string message, Type optionsType, ConfigMap settings)
    {
        var schema = OptionSchema.Of(optionsType);
        return string.Join(
            '\n',
            message
                .Split('\n')
                .Select(line =>
                    Subject()
                        .Replace(line, match =>
                            schema[match.Groups["key"].Value] is { } property
                                ? Place(property, settings) + match.Groups["rest"].Value
                                : match.Value
                        )
                )
        );
    }

    static string Place(OptionProperty property, ConfigMap settings) =>
        settings[property.Key]?.Origin is { Line: > 0 } place ? $"{place}: {property.Key}" : property.CommandLineName;

    [GeneratedRegex(@"^(?<key>[a-z][a-z0-9_]*)(?<rest>[.\[][^:]*)?(?=: )", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Subject();
}
