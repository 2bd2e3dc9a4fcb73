using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using TraceDistill.Serving.Protocol;
using TraceDistill.Text.Errors;

namespace TraceDistill.Serving.Hosting;

/// <summary>Lets requests through that carry the API key as <c>Authorization: Bearer</c>; <c>/health</c> needs none.</summary>
sealed class ApiKeyGate
{
    const string Scheme = "Bearer ";

    readonly byte[] _hash;

    ApiKeyGate(string key) => _hash = Hash(key);

    /// <param name="variable">The environment variable that holds the key; null for a server without one.</param>
    /// <exception cref="InvalidInputException">The variable is not set.</exception>
    public static ApiKeyGate? FromEnvironment(string? variable) =>
        variable is null ? null
        : Environment.GetEnvironmentVariable(variable) is { Length: > 0 } key ? new ApiKeyGate(key)
        : throw new InvalidInputException($"api_key_env: the environment variable {variable} is not set");

    /// <exception cref="ApiException">401.</exception>
    public void Check(HttpContext context)
    {
        if (context.Request.Path == "/health")
        {
            return;
        }

        var header = context.Request.Headers.Authorization.ToString();
        var given = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : "";

        // Digests are compared, and in constant time: neither the key's content nor its length shows in how long it takes.
        if (!CryptographicOperations.FixedTimeEquals(Hash(given), _hash))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            throw new ApiException(401, "the API key is missing or wrong: send it as Authorization: Bearer KEY", "invalid_api_key");
        }
    }

    static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}
