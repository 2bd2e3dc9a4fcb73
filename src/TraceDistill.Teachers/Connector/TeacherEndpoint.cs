using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;

namespace TraceDistill.Teachers.Connector;

/// <summary>Where a teacher is found, what it is called there, and the key it wants. The key leaves in a request header only.</summary>
public sealed class TeacherEndpoint
{
    /// <summary>The one parameter of an address that is part of it: Azure's version of the protocol.</summary>
    const string VersionParameter = "api-version";

    readonly ApiKey? _key;
    readonly string _query;

    TeacherEndpoint(Uri address, EndpointSettings settings, ApiKey? key)
    {
        BaseAddress = new UriBuilder(address) { Query = "" }.Uri;
        _query = address.Query;
        Model = settings.Model;
        _key = key;
        Dialect = KnownDialects.Find(settings.Dialect);
        Form = FormOf(Dialect, settings);
        IsStreamed = settings.Stream;
        (Markers, OpensThinking) = ReasoningOf(settings.Tokenizer, settings.ReasoningMarkers);
    }

    /// <summary>Ends in a slash; <c>chat/completions</c> and <c>models</c> are found below it.</summary>
    public Uri BaseAddress { get; }

    /// <summary>The model's name as the endpoint knows it.</summary>
    public string Model { get; }

    /// <summary>The dialect that the user named; null where it is to be found out.</summary>
    internal Dialect? Dialect { get; }

    internal IRequestForm Form { get; }

    /// <summary>True where answers come in pieces.</summary>
    internal bool IsStreamed { get; }

    /// <summary>True where the teacher's own chat template is known to end prompts inside the reasoning.</summary>
    internal bool OpensThinking { get; }

    /// <summary>Marks that the teacher puts around its reasoning; null where that is not known.</summary>
    internal ReasoningMarkers? Markers { get; }

    /// <summary>Where the key came from, in words; null where none is sent.</summary>
    internal string? KeyOrigin => _key?.Origin;

    /// <param name="settings">The user's settings.</param>
    /// <param name="environment">Looks up an environment variable; null is this process's own.</param>
    /// <exception cref="InvalidInputException">
    /// The URL is no HTTP address, the model has no name, or there is no key where one is named.
    /// </exception>
    public static TeacherEndpoint Create(EndpointSettings settings, Func<string, string?>? environment = null)
    {
        var url = settings.Url;
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            // Not repeated, here or below: it may hold a key.
            throw new InvalidInputException("endpoint: the address is not an HTTP address; write one like http://gpu-01:8000/v1");
        }

        if (uri.UserInfo.Length > 0)
        {
            throw new InvalidInputException(
                "endpoint: keep credentials out of the address; put the key into an environment variable and name it with --api-key-env"
            );
        }

        if (uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Any(pair => pair.Split('=')[0] != VersionParameter))
        {
            throw new InvalidInputException(
                $"endpoint: the address has a parameter that is not {VersionParameter}, "
                    + "the only one allowed there; a key belongs in an environment variable that --api-key-env names"
            );
        }

        return string.IsNullOrWhiteSpace(settings.Model)
            ? throw new InvalidInputException("model: name the model as the endpoint knows it (its /models lists them)")
            : new TeacherEndpoint(
                BaseOf(uri),
                settings,
                ApiKey.Read(settings, uri.Host, environment ?? Environment.GetEnvironmentVariable)
            );
    }

    /// <summary>An address relative to <see cref="BaseAddress"/>, with what the user's address had behind it.</summary>
    internal Uri Address(string relative) => new UriBuilder(new Uri(BaseAddress, relative)) { Query = _query }.Uri;

    internal void Authorize(HttpRequestMessage request, Dialect dialect) => _key?.Authorize(request, dialect.KeyHeader);

    /// <summary>A server's own words with the key, should they repeat it, blotted out.</summary>
    internal string Redact(string text) => _key?.Redact(text) ?? text;

    /// <summary>Names the model and the address, never the key.</summary>
    public override string ToString() => $"{Model} at {BaseAddress.ToString().TrimEnd('/')}";

    static Uri BaseOf(Uri uri)
    {
        const string Route = "/chat/completions";
        var path = uri.AbsolutePath.TrimEnd('/');
        path =
            path.EndsWith(Route, StringComparison.Ordinal) ? path[..^Route.Length]
            : path.Length > 0 ? path
            : DialectDetector.OfHost(uri.Host) == KnownDialects.Azure ? "/openai/v1"
            : "/v1";
        return new UriBuilder(uri) { Path = path + "/", Fragment = "" }.Uri;
    }

    static IRequestForm FormOf(Dialect? dialect, EndpointSettings settings) =>
        (dialect, settings.Tokenizer) switch
        {
            (not { IsSglangGenerate: true }, _) => new ChatForm(),
            _ when settings.Stream => throw new InvalidInputException(
                $"stream: the dialect {dialect.Name} answers as a whole; leave stream out, or take another dialect"
            ),
            (_, null) => throw new InvalidInputException(
                $"tokenizer: the dialect {dialect.Name} renders prompts here; "
                    + "name the folder with the teacher's tokenizer.json and chat template (--tokenizer)"
            ),
            (_, var tokenizer) => new SglangGenerateForm(Tokenizer.Load(tokenizer), ChatTemplate.Load(tokenizer)),
        };

    /// <summary>The marks of a teacher's reasoning, and whether its chat template leaves prompts within it.</summary>
    /// <param name="tokenizer">The folder with its tokenizer and chat template; null where that is not known.</param>
    /// <param name="named">The marks that the user names; none leaves them to the template.</param>
    internal static (ReasoningMarkers? Markers, bool IsOpened) ReasoningOf(string? tokenizer, IReadOnlyList<string> named)
    {
        if (!ReasoningMarkers.TryName(named, out var markers))
        {
            throw new InvalidInputException($"reasoning_markers: {ReasoningMarkers.NamesWanted}");
        }

        if (tokenizer is null)
        {
            return (markers, false);
        }

        try
        {
            var template = ChatTemplate.Load(tokenizer);
            markers ??= template.ReasoningMarkers;
            var opened = ReasoningMarkers.OpenedBy(template.Render([new("user", "?")], addGenerationPrompt: true), markers);
            return (opened ?? markers, opened is not null);
        }
        catch (InvalidInputException)
        {
            // A folder without a template that can be read tells nothing, and who renders with it says why.
            return (markers, false);
        }
    }
}
