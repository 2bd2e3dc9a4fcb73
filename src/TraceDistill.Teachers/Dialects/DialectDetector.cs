using System.Text.Json;
using TraceDistill.Data.Files;

namespace TraceDistill.Teachers.Dialects;

/// <summary>Finds out what kind of server an endpoint is, with requests that cost nothing.</summary>
static class DialectDetector
{
    static readonly (string Host, Dialect Dialect)[] Hosts =
    [
        ("api.openai.com", KnownDialects.OpenAI),
        ("openai.azure.com", KnownDialects.Azure),
        ("services.ai.azure.com", KnownDialects.Azure),
        ("api.deepseek.com", KnownDialects.DeepSeek),
        ("openrouter.ai", KnownDialects.OpenRouter),
    ];

    static readonly Dictionary<string, Dialect> Owners = new()
    {
        ["vllm"] = KnownDialects.Vllm,
        ["sglang"] = KnownDialects.Sglang,
        ["llamacpp"] = KnownDialects.LlamaCpp,
        ["library"] = KnownDialects.Ollama,
        ["tracedistill"] = KnownDialects.TraceDistill,
    };

    /// <summary>
    /// Servers whose list of models does not tell: a route that only they have, relative to the
    /// endpoint's address, and a member of its answer.
    /// </summary>
    static readonly (string Route, string Member, Dialect Dialect)[] Routes =
    [
        ("../info", "max_concurrent_requests", KnownDialects.Tgi),
        ("../api/version", "version", KnownDialects.Ollama),
    ];

    /// <summary>The service at a host that is known by name, or null.</summary>
    public static Dialect? OfHost(string host) =>
        Hosts.FirstOrDefault(known => host == known.Host || host.EndsWith("." + known.Host, StringComparison.Ordinal)).Dialect;

    /// <param name="host">The endpoint's host.</param>
    /// <param name="getAsync">
    /// The body at an address relative to the endpoint's, or null where there is none; throws where nobody answers at all.
    /// </param>
    public static async Task<Dialect> FindAsync(string host, Func<string, Task<JsonElement?>> getAsync)
    {
        if (OfHost(host) is { } known)
        {
            return known;
        }

        if (OwnersIn(await getAsync("models")).Select(Owners.GetValueOrDefault).OfType<Dialect>().FirstOrDefault() is { } owner)
        {
            return owner;
        }

        foreach (var (route, member, dialect) in Routes)
        {
            if ((await getAsync(route))?.Find(member) is not null)
            {
                return dialect;
            }
        }

        return KnownDialects.Compatible;
    }

    static IEnumerable<string> OwnersIn(JsonElement? models) =>
        (models?.Items("data") ?? []).Select(model => model.Text("owned_by")).OfType<string>();
}
