using System.Globalization;
using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Serving.Protocol;

/// <summary>
/// Reads the fields of a request, naming the one that is wrong. A field that is null counts as absent, as clients send both.
/// </summary>
readonly struct RequestFields
{
    readonly JsonElement _root;
    readonly string _prefix;

    public RequestFields(JsonElement root, string prefix = "")
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new ApiException(400, "the request must be a JSON object", "invalid_json");
        }

        (_root, _prefix) = (root, prefix);
    }

    public JsonElement? Find(string name) => _root.Find(name);

    public double? Number(string name, double least, double most) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.GetDouble() is var number && number >= least && number <= most ? number
        : throw Bad(name, string.Create(CultureInfo.InvariantCulture, $"must be a number {Bounds(least, most)}"));

    public int? Integer(string name, int least, int most) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= least && number <= most ? number
        : throw Bad(name, $"must be a whole number {Bounds(least, most)}");

    public long? Long(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number
        : throw Bad(name, "must be a whole number of at most 64 bits");

    public bool Flag(string name, bool absent = false) =>
        Find(name) is not { } value ? absent
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Bad(name, "must be true or false");

    public string? Text(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw Bad(name, "must be a string");

    /// <summary>A string or a list of them.</summary>
    public IReadOnlyList<string> Texts(string name) =>
        Find(name) switch
        {
            null => [],
            { ValueKind: JsonValueKind.String } text => [text.GetString()!],
            { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
            [
                .. list.EnumerateArray().Select(item => item.GetString()!),
            ],
            _ => throw Bad(name, "must be a string or a list of strings"),
        };

    /// <summary>A list of token ids, whether or not there are such tokens.</summary>
    public int[] Ids(string name) => (Find(name) is { } list ? ToIds(list) : null) ?? throw Bad(name, "must be a list of token ids");

    /// <returns>Null where the value is no list of whole numbers.</returns>
    public static int[]? ToIds(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array
        && value.EnumerateArray().All(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out _))
            ? [.. value.EnumerateArray().Select(id => id.GetInt32())]
            : null;

    public RequestFields? Object(string name) =>
        Find(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Object ? new RequestFields(value, $"{_prefix}{name}.")
        : throw Bad(name, "must be an object");

    /// <summary>Refuses what would change the result and is not built; its neutral value is let through.</summary>
    public void Refuse(string name, Func<JsonElement, bool> isNeutral)
    {
        if (Find(name) is { } value && !isNeutral(value))
        {
            throw Bad(name, "is not supported by this server: leave it out");
        }
    }

    public ApiException Bad(string name, string problem) => ApiException.BadField(_prefix + name, problem);

    static string Bounds(double least, double most) =>
        most is double.MaxValue or int.MaxValue ? $"of at least {least}" : $"from {least} to {most}";
}
