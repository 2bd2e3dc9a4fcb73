using System.Net;
using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Secrets;

/// <summary>A key that a verb would send, and where to.</summary>
/// <param name="Name">The environment variable that holds it, or the full path of the file.</param>
/// <param name="IsFile">True where <paramref name="Name"/> is a file.</param>
/// <param name="Url">The endpoint's address.</param>
sealed record KeyUse(string Name, bool IsFile, Uri Url)
{
    static readonly string[] Settings = ["endpoint", "endpoints", "models", "api_key_env", "api_key_file"];

    /// <summary>
    /// The use that an endpoint makes of a key; none where it has none, or where its address is none and is refused as such.
    /// </summary>
    public static IEnumerable<KeyUse> Of(string? url, string? variable, string? file)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            yield break;
        }

        if (variable is not null)
        {
            yield return new KeyUse(variable, IsFile: false, address);
        }

        if (file is not null)
        {
            yield return new KeyUse(Path.GetFullPath(file), IsFile: true, address);
        }
    }

    /// <summary>Returns whether address and key are both the user's own words on the command line, and none of them a file's.</summary>
    public static bool IsOwn(ConfigMap settings) =>
        settings.Entries.Where(entry => Settings.Contains(entry.Key)).All(entry => IsOwn(entry.Value));

    /// <summary>The host as the network sees it: no user name, international names in their ASCII form.</summary>
    public string Host => Url.IdnHost.ToLowerInvariant();

    /// <summary>Host and port as <c>--allow-key</c> takes them: the port of HTTPS need not be said.</summary>
    public string Target => Authority(Host, Url.Port, Url.Scheme == "https");

    /// <summary>True where the key stays on this machine.</summary>
    public bool IsLoopback => Host == "localhost" || (IPAddress.TryParse(Host, out var address) && IPAddress.IsLoopback(address));

    /// <summary>For the plan: <c>$NAME → HOST</c>.</summary>
    public override string ToString() => $"{(IsFile ? Name : $"${Name}")} → {Target}";

    public static string Authority(string host, int port, bool isHttps)
    {
        var name = host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host;
        return isHttps && port == 443 ? name : $"{name}:{port}";
    }

    static bool IsOwn(ConfigNode node) =>
        node.Location.Line == 0
        && node switch
        {
            ConfigMap map => map.Entries.All(entry => IsOwn(entry.Value)),
            ConfigList list => list.Items.All(IsOwn),
            _ => true,
        };
}
