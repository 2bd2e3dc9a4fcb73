using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TraceDistill.Cli.Binding;

/// <summary>Takes a setting as it stands, for values that pass through to somebody else: YAML's own types become JSON's.</summary>
static class JsonValue
{
    const NumberStyles Real = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

    public static JsonElement Of(ConfigNode node) => JsonSerializer.SerializeToElement(Convert(node));

    static JsonNode? Convert(ConfigNode node) =>
        node switch
        {
            ConfigMap map => new JsonObject(map.Entries.Select(entry => KeyValuePair.Create(entry.Key, Convert(entry.Value)))),
            ConfigList list => new JsonArray([.. list.Items.Select(Convert)]),
            ConfigScalar { Text: null } => null,
            ConfigScalar { IsQuoted: true } quoted => quoted.Text,
            ConfigScalar scalar => Plain(scalar.Text!),
            _ => null,
        };

    static JsonNode Plain(string text) =>
        text switch
        {
            "true" => true,
            "false" => false,
            _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) => whole,
            _ when double.TryParse(text, Real, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) => number,
            _ => text,
        };
}
