using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Binding;

/// <summary>
/// Creates options records from settings of a recipe or of the command line. Errors are added to the
/// <see cref="ProblemList"/>, with its place, its key and what was expected; binding continues, so that all problems are reported together.
/// </summary>
/// <remarks>
/// Values of single properties are validated by the attributes of <see cref="System.ComponentModel.DataAnnotations"/> on it, and
/// combinations of properties by <see cref="IValidatableObject"/> on the record.
/// </remarks>
sealed class OptionBinder(ProblemList problems)
{
    /// <summary>
    /// Makes a <paramref name="type"/> from <paramref name="map"/>, whose keys are those of its <see cref="OptionSchema"/>.
    /// </summary>
    /// <param name="path">Prefix of keys in messages, such as a stage's name; may be empty.</param>
    /// <returns>Null where there was a problem.</returns>
    public object? BindRecord(Type type, ConfigMap map, string path)
    {
        var schema = OptionSchema.Of(type);
        var record = Activator.CreateInstance(type)!;
        var (isBound, isAllowed) = (true, true);
        foreach (var entry in map.Entries)
        {
            if (schema[entry.Key] is not { } property)
            {
                problems.Add(entry.Location, path, $"unknown key \"{entry.Key}\"; {NearestName.Suggestion(entry.Key, schema.Keys)}");
                isBound = false;
            }
            else if (entry.Value is ConfigScalar { Text: null } && MayBeLeftOut(property, schema))
            {
                // As if it were not there, for a stage that is like another one and says it the other way, or does without it.
            }
            else if (BindProperty(property, entry.Value, Join(path, entry.Key), out var value))
            {
                property.Property.SetValue(record, value);
                isAllowed &= IsAllowed(property, value, record, entry.Value.Origin, Join(path, entry.Key));
            }
            else
            {
                isBound = false;
            }
        }

        var isComplete = true;
        foreach (var missing in schema.Properties.Where(property => property.IsRequired && map[property.Key] is null))
        {
            problems.Add(PlaceOf(missing, map), Join(path, missing.Key), $"is required: {Sentence(missing)}");
            isComplete = false;
        }

        isAllowed &= EachIsSaidOnce(schema, map, path);
        return isBound && IsConsistent(record, map, path, isComplete) && isAllowed && isComplete ? record : null;
    }

    /// <summary>Of two settings that say the same, neither wins: whoever gives both means one of them.</summary>
    bool EachIsSaidOnce(OptionSchema schema, ConfigMap map, string path)
    {
        var twice = schema
            .Properties.Where(property => property.InPlaceOf is { } other && IsGiven(property.Key) && IsGiven(other))
            .ToList();
        foreach (var property in twice)
        {
            problems.Add(
                map[property.Key]!.Origin,
                Join(path, property.Key),
                $"takes the place of {property.InPlaceOf}, which is given too: leave one of the two out"
            );
        }

        return twice.Count == 0;

        bool IsGiven(string key) => map[key] is not (null or ConfigScalar { Text: null });
    }

    /// <summary>Of a number or a text that always has a value, a key without one is a mistake.</summary>
    static bool MayBeLeftOut(OptionProperty property, OptionSchema schema) =>
        property.IsNullable
        || (
            !property.IsRequired
            && (
                OptionShape.ListItem(property.Type) is not null
                || OptionShape.DictionaryValue(property.Type) is not null
                || schema.Properties.Any(other => other.InPlaceOf == property.Key)
            )
        );

    bool BindProperty(OptionProperty property, ConfigNode node, string path, out object? value)
    {
        value = null;
        if (node is ConfigScalar { Text: null })
        {
            problems.Add(node.Origin, path, $"expected {TypeWords.Expected(property.Type)}, found nothing");
            return false;
        }

        value = Bind(Nullable.GetUnderlyingType(property.Type) ?? property.Type, node, path);
        return value is not null;
    }

    object? Bind(Type type, ConfigNode node, string path) =>
        node switch
        {
            _ when type == typeof(JsonElement) => JsonValue.Of(node),
            _ when OptionShape.ListItem(type) is { } item => BindList(type, item, node, path),
            _ when OptionShape.DictionaryValue(type) is { } valueType => BindDictionary(valueType, type, node, path),
            ConfigMap map when OptionShape.IsRecord(type) => BindRecord(type, map, path),
            ConfigScalar { Text: { } text } when OptionShape.IsScalar(type) => BindScalar(type, text, node, path),
            ConfigScalar { Text: { } file } when OptionShape.IsRecord(type) => BindRecordFile(type, file, node, path),
            _ => Mismatch(type, node, path),
        };

    object? BindScalar(Type type, string text, ConfigNode node, string path)
    {
        var value = ScalarBinder.Parse(type, text, out var problem);
        if (problem is not null)
        {
            problems.Add(node.Origin, path, problem);
        }

        return value;
    }

    /// <summary>A record's settings may stand in a YAML file of their own; the value is then the file's path.</summary>
    object? BindRecordFile(Type type, string file, ConfigNode node, string path)
    {
        try
        {
            return BindRecord(type, YamlConfig.ReadFile(file), path);
        }
        catch (InvalidInputException exception)
        {
            problems.Add(node.Origin, path, $"expected {TypeWords.Expected(type)}, or a YAML file that holds one: {exception.Message}");
            return null;
        }
    }

    /// <summary>A list may be written as one text with commas, which is how lists look on the command line.</summary>
    object? BindList(Type type, Type itemType, ConfigNode node, string path)
    {
        IReadOnlyList<ConfigNode> nodes = node switch
        {
            ConfigList list => list.Items,
            ConfigScalar { Text: { } text } =>
            [
                .. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                    .Select(part => new ConfigScalar(node.Origin, part)),
            ],
            _ => [node],
        };
        var items = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(itemType))!;
        for (var i = 0; i < nodes.Count; i++)
        {
            if (Bind(itemType, nodes[i], $"{path}[{i}]") is { } item)
            {
                items.Add(item);
            }
        }

        return items.Count < nodes.Count ? null
            : type.IsArray ? items.GetType().GetMethod("ToArray")!.Invoke(items, null)
            : items;
    }

    object? BindDictionary(Type valueType, Type type, ConfigNode node, string path)
    {
        if (node is not ConfigMap map)
        {
            return Mismatch(node, path, node.Location.Line == 0 ? "NAME=VALUE" : TypeWords.Expected(type));
        }

        var dictionary = (IDictionary)Activator.CreateInstance(typeof(OrderedDictionary<,>).MakeGenericType(typeof(string), valueType))!;
        foreach (var entry in map.Entries)
        {
            if (Bind(valueType, entry.Value, Join(path, entry.Key)) is { } value)
            {
                dictionary[entry.Key] = value;
            }
        }

        return dictionary.Count < map.Entries.Count ? null : dictionary;
    }

    object? Mismatch(Type type, ConfigNode node, string path) => Mismatch(node, path, TypeWords.Expected(type));

    object? Mismatch(ConfigNode node, string path, string expected)
    {
        problems.Add(node.Origin, path, $"expected {expected}, found {TypeWords.Of(node)}");
        return null;
    }

    bool IsAllowed(OptionProperty property, object? value, object record, SourceLocation location, string path)
    {
        var context = new ValidationContext(record) { MemberName = property.Property.Name, DisplayName = property.Key };
        var failures = property
            .Property.GetCustomAttributes<ValidationAttribute>()
            .Select(attribute => attribute.GetValidationResult(value, context));
        return Report(failures, _ => (location, path));
    }

    /// <param name="isComplete">
    /// True where all required settings are there. Where some are not, only problems of further absent
    /// settings are reported: the rest may come of a default that stands for a required one.
    /// </param>
    bool IsConsistent(object record, ConfigMap map, string path, bool isComplete)
    {
        if (record is not IValidatableObject validatable)
        {
            return true;
        }

        var failures = validatable.Validate(new ValidationContext(record));
        return Report(failures.Where(failure => isComplete || (Subject(failure) is { } property && map[property.Key] is null)), failure =>
            Subject(failure) is { } property ? (PlaceOf(property, map), Join(path, property.Key)) : (map.Location, path)
        );

        OptionProperty? Subject(ValidationResult failure) =>
            OptionSchema.Of(record.GetType()).Properties.FirstOrDefault(known => failure.MemberNames.Contains(known.Property.Name));
    }

    bool Report(IEnumerable<ValidationResult?> results, Func<ValidationResult, (SourceLocation Location, string Path)> place)
    {
        var failures = results.OfType<ValidationResult>().ToList();
        foreach (var failure in failures)
        {
            var (location, path) = place(failure);
            problems.Add(location, path, failure.ErrorMessage ?? "is not allowed");
        }

        return failures.Count == 0;
    }

    /// <summary>Where the setting stands or, when it is absent, would stand.</summary>
    static SourceLocation PlaceOf(OptionProperty property, ConfigMap map) =>
        map[property.Key]?.Origin
        ?? (map.Location == SourceLocation.CommandLine ? new SourceLocation(property.CommandLineName) : map.Location);

    /// <summary>A setting's description as the rest of a sentence: a capital stays where it is a name's, such as OpenAI.</summary>
    static string Sentence(OptionProperty property) =>
        property.Description is not { } help ? $"give {TypeWords.Expected(property.Type)}"
        : help.Split(' ')[0].Skip(1).Any(char.IsUpper) ? help
        : char.ToLowerInvariant(help[0]) + help[1..];

    static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";
}
