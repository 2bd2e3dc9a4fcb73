using System.Text;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Teachers.Connector;

/// <summary>A secret and where it came from. It is told to nobody: not in a text of its own, nor in the error about a bad one.</summary>
sealed class ApiKey
{
    const int MostBytes = 1 << 16;

    readonly string _value;

    ApiKey(string value, string origin)
    {
        _value = value;
        Origin = origin;
    }

    /// <summary>Such as <c>the environment variable TEACHER_KEY</c>.</summary>
    public string Origin { get; }

    /// <returns>Null where the settings name no key.</returns>
    /// <exception cref="InvalidInputException">The variable is empty, the file cannot be read, or what they hold is no key.</exception>
    public static ApiKey? Read(EndpointSettings settings, string host, Func<string, string?> environment) =>
        settings switch
        {
            { ApiKeyEnv: not null, ApiKeyFile: not null } => throw new InvalidInputException(
                "api_key_env: name either the variable or the file that holds the key, not both"
            ),
            { ApiKeyEnv: { } variable } => Create("api_key_env", $"the environment variable {variable}", environment(variable), host),
            { ApiKeyFile: { } file } => Create("api_key_file", $"the file {file}", ReadFile(file), host),
            _ => null,
        };

    /// <summary>Puts the key into the header that the dialect has it in.</summary>
    public void Authorize(HttpRequestMessage request, string header)
    {
        if (header == "Authorization")
        {
            request.Headers.Authorization = new("Bearer", _value);
        }
        else
        {
            request.Headers.Add(header, _value);
        }
    }

    /// <summary>A text with the key, should it be there, blotted out.</summary>
    /// <remarks>As it is, and percent-encoded as in an address; a text with a stranger spelling of it is blotted out as a whole.</remarks>
    public string Redact(string text)
    {
        const string Blot = "[key]";
        var told = text.Replace(_value, Blot, StringComparison.Ordinal)
            .Replace(Uri.EscapeDataString(_value), Blot, StringComparison.OrdinalIgnoreCase);
        return Uri.UnescapeDataString(told.Replace(Blot, "", StringComparison.Ordinal)).Contains(_value, StringComparison.Ordinal)
            ? Blot
            : told;
    }

    public override string ToString() => "[key]";

    static ApiKey Create(string setting, string origin, string? text, string host)
    {
        var value = text?.Trim();
        return string.IsNullOrEmpty(value)
                ? throw new InvalidInputException($"{setting}: {origin} is empty; put the key for {host} into it")
            : value.All(c => c is > ' ' and <= '~') ? new ApiKey(value, origin)
            : throw new InvalidInputException($"{setting}: {origin} holds more than a key (a key is one line of ASCII without spaces)");
    }

    static string ReadFile(string path)
    {
        try
        {
            return Encoding.UTF8.GetString(InputFile.ReadAllBytes(path, MostBytes));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(
                $"api_key_file: {path} cannot be read ({e.GetType().Name}); name a file that holds the key and nothing else",
                e
            );
        }
    }
}
