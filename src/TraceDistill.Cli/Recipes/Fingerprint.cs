using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using TraceDistill.Cli.Binding;
using TraceDistill.Data.Options;

namespace TraceDistill.Cli.Recipes;

/// <summary>Names what a stage's result depends on: the program's version, the verb, its options and the contents of its inputs.</summary>
static class Fingerprint
{
    /// <summary>The program's version without the commit it was built from: a stage is not made again because a comment changed.</summary>
    public static string ProgramVersion { get; } =
        typeof(Fingerprint).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <remarks>
    /// Options that are <see cref="OperationalAttribute"/> do not count. Where an input from
    /// outside lies does not count, only what is in it; nor does the order of the options.
    /// </remarks>
    public static string Of(PlannedStage stage, IReadOnlyList<InputRecord> inputs)
    {
        var outside = stage.Inputs.Where(input => input.Stage is null).Select(input => input.Reference).ToHashSet();
        var text = new JsonObject
        {
            ["version"] = ProgramVersion,
            ["verb"] = stage.Verb.Name,
            ["options"] = Canonical(Deciding(stage.Settings, stage.Verb.OptionsType), outside),
            ["inputs"] = new JsonArray([.. inputs.Select(input => (JsonNode)$"{input.Key} {input.Digest}")]),
        }.ToJsonString();
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>The settings that decide what comes out, within the maps of lists too.</summary>
    static ConfigMap Deciding(ConfigMap settings, Type options)
    {
        var schema = OptionSchema.Of(options);
        return settings with
        {
            Entries =
            [
                .. settings
                    .Entries.Where(entry => schema[entry.Key] is not { IsOperational: true })
                    .Select(entry =>
                        entry.Value is ConfigList list
                        && schema[entry.Key] is { } property
                        && OptionShape.ListItem(property.Type) is { } item
                            ? entry with
                            {
                                Value = list with
                                {
                                    Items = [.. list.Items.Select(node => node is ConfigMap map ? Deciding(map, item) : node)],
                                },
                            }
                            : entry
                    ),
            ],
        };
    }

    static JsonNode? Canonical(ConfigNode node, HashSet<string> outside) =>
        node switch
        {
            ConfigScalar { Text: { } text } => outside.Contains(text) ? "(file)" : text,
            ConfigList list => new JsonArray([.. list.Items.Select(item => Canonical(item, outside))]),
            ConfigMap map => new JsonObject(
                map.Entries.OrderBy(entry => entry.Key, StringComparer.Ordinal)
                    .Select(entry => KeyValuePair.Create(entry.Key, Canonical(entry.Value, outside)))
            ),
            _ => null,
        };
}
