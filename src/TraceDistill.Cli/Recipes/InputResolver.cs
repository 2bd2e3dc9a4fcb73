using TraceDistill.Cli.Binding;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Finds out what the path-valued options of a stage mean: other stages (with all their copies), or files from outside.</summary>
/// <remarks>
/// A value that begins with a stage's name means that stage. Where a matrix repeats that stage, it means the copies whose matrix
/// values equal this stage's own in the keys that both matrices share: all copies for a stage without a matrix, the one beside it
/// for a twin. Any other path is looked for from the current directory, then from the recipe's folder and the folders above it.
/// </remarks>
sealed class InputResolver(IReadOnlyList<StageCopy> stages, string recipePath, ProblemList problems)
{
    /// <summary>Replaces the values of all path-valued options of <paramref name="settings"/> by references or full paths.</summary>
    /// <param name="reader">The stage whose settings they are.</param>
    /// <param name="inputs">Gets what was found.</param>
    /// <param name="within">Prefix of the keys of a map within the settings, such as <c>traces[0].</c></param>
    public ConfigMap Resolve(StageCopy reader, OptionSchema schema, ConfigMap settings, List<StageInput> inputs, string within = "") =>
        settings with
        {
            Entries =
            [
                .. settings.Entries.Select(entry =>
                    schema[entry.Key] is not { } property ? entry
                    : property.IsInputPath(settings) ? entry with { Value = Value(reader, property, entry, within + entry.Key, inputs) }
                    : entry.Value is ConfigMap map && OptionShape.IsRecord(property.Type)
                        ? entry with
                        {
                            Value = Resolve(reader, OptionSchema.Of(property.Type), map, inputs, $"{within}{entry.Key}."),
                        }
                    : entry.Value is ConfigMap named && OptionShape.DictionaryRecord(property.Type) is { } type
                        ? entry with
                        {
                            Value = named with
                            {
                                Entries =
                                [
                                    .. named.Entries.Select(item =>
                                        item.Value is ConfigMap record
                                            ? item with
                                            {
                                                Value = Resolve(
                                                    reader,
                                                    OptionSchema.Of(type),
                                                    record,
                                                    inputs,
                                                    $"{within}{entry.Key}.{item.Key}."
                                                ),
                                            }
                                            : item
                                    ),
                                ],
                            },
                        }
                    : entry
                ),
            ],
        };

    ConfigNode Value(StageCopy reader, OptionProperty property, ConfigEntry entry, string key, List<StageInput> inputs)
    {
        switch (entry.Value)
        {
            case ConfigMap map when OptionShape.DictionaryValue(property.Type) is not null:
                return map with { Entries = [.. map.Entries.SelectMany(item => Entries(reader, item, $"{key}.{item.Key}", inputs))] };
            case ConfigMap map when OptionShape.ListItem(property.Type) is { } type && OptionShape.IsRecord(type):
                return Resolve(reader, OptionSchema.Of(type), map, inputs, $"{key}."); // a list of one
            case ConfigList list:
                return list with
                {
                    Items =
                    [
                        .. list
                            .Items.Index()
                            .SelectMany(item =>
                                item.Item is ConfigMap map && OptionShape.ListItem(property.Type) is { } type
                                    ? [Resolve(reader, OptionSchema.Of(type), map, inputs, $"{key}[{item.Index}].")]
                                    : Items(reader, item.Item, key, inputs)
                            ),
                    ],
                };
            case ConfigScalar { Text: { } text } scalar when OptionShape.ListItem(property.Type) is not null:
                var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                return new ConfigList(
                    scalar.Location,
                    [.. parts.SelectMany(part => Items(reader, scalar with { Text = part }, key, inputs))]
                );
            case ConfigScalar { Text: { } text } scalar:
                return Single(reader, scalar, text, key, inputs);
            default:
                return entry.Value;
        }
    }

    IEnumerable<ConfigEntry> Entries(StageCopy reader, ConfigEntry item, string key, List<StageInput> inputs)
    {
        if (item.Value is not ConfigScalar { Text: { } text } scalar)
        {
            return [item];
        }

        var found = Find(reader, scalar, text, key, inputs);
        return found.Select(input =>
            item with
            {
                Key = found.Count == 1 ? item.Key : item.Key + CopySuffix(input.Stage!),
                Value = scalar with { Text = input.Reference },
            }
        );
    }

    IEnumerable<ConfigNode> Items(StageCopy reader, ConfigNode item, string key, List<StageInput> inputs) =>
        item is ConfigScalar { Text: { } text } scalar
            ? Find(reader, scalar, text, key, inputs).Select(input => scalar with { Text = input.Reference })
            : [item];

    ConfigScalar Single(StageCopy reader, ConfigScalar scalar, string text, string key, List<StageInput> inputs)
    {
        var found = Find(reader, scalar, text, key, inputs);
        if (found.Count > 1)
        {
            problems.Add(
                scalar.Origin,
                $"{reader.Family}.{key}",
                $"\"{text}\" is {found.Count} stages and one is expected: "
                    + $"name one ({found[0].Reference}) or give this stage the same matrix"
            );
        }

        return found.Count == 0 ? scalar : scalar with { Text = found[0].Reference };
    }

    List<StageInput> Find(StageCopy reader, ConfigScalar scalar, string text, string key, List<StageInput> inputs)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var (head, tail) = slash < 0 ? (text, "") : (text[..slash], text[(slash + 1)..].TrimEnd('/'));
        List<StageInput> found = [.. Makers(reader, head).Select(stage => new StageInput(key, stage.Name, tail, scalar.Origin))];
        if (found.Count == 0 && OutsidePath.Find(text, recipePath) is { } path)
        {
            found.Add(new StageInput(key, null, path, scalar.Origin));
        }

        if (found.Count == 0)
        {
            problems.Add(scalar.Origin, $"{reader.Family}.{key}", $"no such stage, file or folder: \"{text}\"{Hint(head)}");
        }

        inputs.AddRange(found);
        return found;
    }

    IEnumerable<StageCopy> Makers(StageCopy reader, string name) =>
        stages.Where(stage =>
            stage.Name == name
            || (
                stage.Family == name
                && stage.Coordinates.All(axis => !reader.Coordinates.TryGetValue(axis.Key, out var own) || own == axis.Value)
            )
        );

    string CopySuffix(string stage) => stage[stages.First(copy => copy.Name == stage).Family.Length..];

    string Hint(string head) =>
        NearestName.Of(head, stages.Select(stage => stage.Family)) is { } nearest ? $"; did you mean the stage \"{nearest}\"?" : "";
}
