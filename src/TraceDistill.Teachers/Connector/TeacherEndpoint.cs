using TraceDistill.Core.Errors;

namespace TraceDistill.Teachers.Connector;

/// <summary>Where a teacher is found, what it is called there, and the key it wants. The key leaves in a request header only.</summary>
public sealed class TeacherEndpoint
{
    readonly string? _apiKey;

    TeacherEndpoint(Uri baseAddress, string model, string? apiKeyEnv, string? apiKey)
    {
        BaseAddress = baseAddress;
        Model = model;
        ApiKeyEnv = apiKeyEnv;
        _apiKey = apiKey;
    }

    /// <summary>Ends in a slash; <c>chat/completions</c> and <c>models</c> are found below it.</summary>
    public Uri BaseAddress { get; }

    /// <summary>The model's name as the endpoint knows it.</summary>
    public string Model { get; }

    /// <summary>The environment variable that holds the key; null where none is sent.</summary>
    public string? ApiKeyEnv { get; }

    /// <param name="url">Such as <c>http://gpu-01:8000/v1</c>; without a path, <c>/v1</c> is assumed.</param>
    /// <param name="model">The model's name as the endpoint knows it.</param>
    /// <param name="apiKeyEnv">The environment variable that holds the key, or null.</param>
    /// <param name="environment">Looks up an environment variable.</param>
    /// <exception cref="InvalidInputException">The URL is no HTTP address, the model has no name, or the variable is empty.</exception>
    public static TeacherEndpoint Create(string url, string model, string? apiKeyEnv, Func<string, string?> environment)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw new InvalidInputException($"endpoint: '{url}' is not an HTTP address; write one like http://gpu-01:8000/v1");
        }

        if (uri.UserInfo.Length > 0)
        {
            throw new InvalidInputException("endpoint: keep credentials out of the address; put the key into an environment variable and name it with --api-key-env");
        }

        if (string.IsNullOrWhiteSpace(model))
        {
            throw new InvalidInputException("model: name the model as the endpoint knows it (its /models lists them)");
        }

        string? key = null;
        if (apiKeyEnv is not null)
        {
            key = environment(apiKeyEnv)?.Trim();
            if (string.IsNullOrEmpty(key))
            {
                throw new InvalidInputException($"api_key_env: the environment variable {apiKeyEnv} is empty; put the key for {uri.Host} into it");
            }
        }

        return new TeacherEndpoint(BaseOf(uri), model, apiKeyEnv, key);
    }

    /// <summary>The address below <see cref="BaseAddress"/>.</summary>
    internal Uri Address(string relative) => new(BaseAddress, relative);

    internal void Authorize(HttpRequestMessage request)
    {
        if (_apiKey is not null)
        {
            request.Headers.Authorization = new("Bearer", _apiKey);
        }
    }

    /// <summary>A server's own words with the key, should they repeat it, blotted out.</summary>
    internal string Redact(string text) => _apiKey is null ? text : text.Replace(_apiKey, "[key]", StringComparison.Ordinal);

    /// <summary>Names the model and the address, never the key.</summary>
    public override string ToString() => $"{Model} at {BaseAddress.ToString().TrimEnd('/')}";

    static Uri BaseOf(Uri uri)
    {
        const string Route = "/chat/completions";
        var path = uri.AbsolutePath.TrimEnd('/');
        path = path.EndsWith(Route, StringComparison.Ordinal) ? path[..^Route.Length] : path.Length == 0 ? "/v1" : path;
        return new UriBuilder(uri) { Path = path + "/", Query = "", Fragment = "" }.Uri;
    }
}
