using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>
/// JSON that is well-formed and means something else: one value of it exchanged for another, or left out; the same way for the same seed.
/// </summary>
static class DamagedJson
{
    static readonly string?[] Values =
    [
        null,
        "null",
        "[null]",
        "[]",
        "{}",
        "[{}]",
        "[[[]]]",
        """{"a":null}""",
        "\"\"",
        "\"x\"",
        "-1",
        "0",
        "1.5",
        "2147483648",
        "9223372036854775808",
        "1e300",
        "true",
        "\"\\u0000\"",
    ];

    /// <param name="json">Well-formed, or as many lines that each are.</param>
    public static byte[] Of(byte[] json, int seed)
    {
        var random = new Random(seed);
        var lines = Encoding.UTF8.GetString(json).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.All(IsWhole))
        {
            var line = random.Next(lines.Length);
            lines[line] = Exchange(lines[line], random);
            return Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n");
        }

        return Encoding.UTF8.GetBytes(Exchange(Encoding.UTF8.GetString(json), random));
    }

    static bool IsWhole(string line)
    {
        try
        {
            using var _ = JsonDocument.Parse(line);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    static string Exchange(string json, Random random)
    {
        var root = new JsonArray(JsonNode.Parse(json));
        var places = Places(root).ToList();
        var (parent, key, index) = places[random.Next(places.Count)];
        var value = Values[random.Next(Values.Length)];
        switch (parent)
        {
            case JsonObject map when value is null:
                map.Remove(key);
                break;
            case JsonObject map:
                map[key] = JsonNode.Parse(value);
                break;
            case JsonArray list:
                list[index] = value is null ? null : JsonNode.Parse(value);
                break;
        }

        return root[0]?.ToJsonString() ?? "null";
    }

    static IEnumerable<(JsonNode Parent, string Key, int Index)> Places(JsonNode? node) =>
        node switch
        {
            JsonObject map => map.SelectMany(entry => Places(entry.Value).Prepend((map, entry.Key, 0))),
            JsonArray list => list.SelectMany((item, index) => Places(item).Prepend((list, "", index))),
            _ => [],
        };
}
