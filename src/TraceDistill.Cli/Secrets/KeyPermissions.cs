using System.Diagnostics.CodeAnalysis;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Secrets;

/// <summary>
/// The pairs of a key and a host that the user allows. A recipe may be a stranger's: without
/// this, it could send any environment variable, and any file of one line, to any host.
/// </summary>
/// <remarks>
/// Allowed are loopback, the services' own variables at their own hosts over HTTPS, what <c>--allow-key NAME=HOST</c>
/// says, and the lines of the user's own file. A host is compared as a whole, its port included.
/// </remarks>
sealed class KeyPermissions
{
    public const string Option = "--allow-key";

    const int MostBytes = 1 << 16;

    /// <summary>Hosts that begin with a dot stand for what is below them, where a service gives each customer a name of its own.</summary>
    static readonly (string Variable, string[] Hosts)[] WellKnown =
    [
        ("OPENAI_API_KEY", ["api.openai.com"]),
        ("AZURE_OPENAI_API_KEY", [".openai.azure.com", ".services.ai.azure.com"]),
        ("AZURE_API_KEY", [".openai.azure.com", ".services.ai.azure.com"]),
        ("ANTHROPIC_API_KEY", ["api.anthropic.com"]),
        ("CEREBRAS_API_KEY", ["api.cerebras.ai"]),
        ("DASHSCOPE_API_KEY", ["dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"]),
        ("DEEPINFRA_API_KEY", ["api.deepinfra.com"]),
        ("DEEPSEEK_API_KEY", ["api.deepseek.com"]),
        ("FIREWORKS_API_KEY", ["api.fireworks.ai"]),
        ("GEMINI_API_KEY", ["generativelanguage.googleapis.com"]),
        ("GROQ_API_KEY", ["api.groq.com"]),
        ("HF_TOKEN", ["router.huggingface.co"]),
        ("MISTRAL_API_KEY", ["api.mistral.ai"]),
        ("MOONSHOT_API_KEY", ["api.moonshot.ai", "api.moonshot.cn"]),
        ("NVIDIA_API_KEY", ["integrate.api.nvidia.com"]),
        ("OPENROUTER_API_KEY", ["openrouter.ai"]),
        ("TOGETHER_API_KEY", ["api.together.xyz", "api.together.ai"]),
        ("XAI_API_KEY", ["api.x.ai"]),
    ];

    readonly HashSet<Pair> _pairs;

    KeyPermissions(IEnumerable<Pair> pairs) => _pairs = [.. pairs];

    /// <summary>The user's own file, in the folder for settings: <c>$XDG_CONFIG_HOME/tracedistill/allowed-keys</c>.</summary>
    public static string UserFile =>
        Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify),
            "tracedistill",
            "allowed-keys"
        );

    /// <param name="options">Values of <c>--allow-key</c>, each <c>NAME=HOST</c>.</param>
    /// <param name="userFile">The same, one a line, <c>#</c> before a remark; need not exist.</param>
    /// <exception cref="InvalidInputException">Something is no such pair.</exception>
    public static KeyPermissions Read(IEnumerable<string> options, string? userFile) =>
        new([.. options.Select(text => Pair.Parse(text, Option)), .. File.Exists(userFile) ? ReadFile(userFile) : []]);

    public bool Allows(KeyUse use) =>
        use.IsLoopback
        || _pairs.Contains(new Pair(use.Name, use.Target))
        || (!use.IsFile && use.Url is { Scheme: "https", Port: 443 } && IsWellKnown(use.Name, use.Host));

    /// <exception cref="InvalidInputException">
    /// A key would go where the user did not allow it; each pair is named with the option that allows it.
    /// </exception>
    public void Require(IEnumerable<KeyUse> uses)
    {
        KeyUse[] refused = [.. uses.Where(use => !Allows(use)).DistinctBy(use => use.ToString())];
        if (refused.Length > 0)
        {
            throw new InvalidInputException(
                $"{string.Join("; ", refused.Select(use => $"{use}"))}: a file names "
                    + $"{(refused.Length == 1 ? "this key and where to send it" : "these keys and where to send them")}, and you did not "
                    + $"allow it; if it is meant, add {string.Join(' ', refused.Select(OptionFor))} (or a line NAME=HOST in {UserFile})"
            );
        }
    }

    /// <summary>The option that allows a use.</summary>
    public static string OptionFor(KeyUse use) =>
        $"{Option} {(use.Name.Contains(' ', StringComparison.Ordinal) ? $"\"{use.Name}={use.Target}\"" : $"{use.Name}={use.Target}")}";

    static bool IsWellKnown(string variable, string host) =>
        WellKnown.Any(service =>
            service.Variable == variable
            && service.Hosts.Any(known => known[0] == '.' ? host.EndsWith(known, StringComparison.Ordinal) : host == known)
        );

    static IEnumerable<Pair> ReadFile(string path) =>
        Utf8Text
            .ReadFile(path, MostBytes)
            .Split('\n')
            .Index()
            .Select(line => (Number: line.Index + 1, Text: line.Item.Trim()))
            .Where(line => line.Text.Length > 0 && line.Text[0] != '#')
            .Select(line => Pair.Parse(line.Text, $"{path}:{line.Number}"));

    /// <summary>A key's name and a host, written as <see cref="KeyUse"/> writes them.</summary>
    readonly record struct Pair(string Name, string Target)
    {
        public static Pair Parse(string text, string origin)
        {
            // A path may hold an equals sign, a host cannot.
            var at = text.LastIndexOf('=');
            if (at <= 0 || !TryTarget(text[(at + 1)..], out var target))
            {
                throw new InvalidInputException(
                    $"{origin}: \"{text}\" is not NAME=HOST; write the variable and the host it may go to, such as TEACHER_KEY=gpu-01:8000"
                );
            }

            // A variable's name holds no separator; what does is a file.
            var name = text[..at];
            return new Pair(name.AsSpan().ContainsAny('/', Path.DirectorySeparatorChar) ? Path.GetFullPath(name) : name, target);
        }

        static bool TryTarget(string text, [NotNullWhen(true)] out string? target)
        {
            var isHost =
                Uri.TryCreate($"https://{text}", UriKind.Absolute, out var uri)
                && uri is { UserInfo: "", PathAndQuery: "/", Fragment: "" }
                && !text.AsSpan().ContainsAny("/\\@?#");
            target = isHost ? KeyUse.Authority(uri!.IdnHost.ToLowerInvariant(), uri.Port, isHttps: true) : null;
            return isHost;
        }
    }
}
