using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Prompts;

/// <summary>
/// Prompts by name. They lie in Semantic Kernel's prompt directories:
/// <c>Plugin/Function/skprompt.txt</c> with <c>config.json</c> beside it.
/// </summary>
public sealed class PromptLibrary
{
    public const string TemplateFile = "skprompt.txt";
    public const string ConfigFile = "config.json";
    const string FolderName = "prompts";

    readonly IReadOnlyList<string> _folders;

    /// <param name="folders">Where prompts are looked for; an earlier folder hides a later one's prompt of the same name.</param>
    public PromptLibrary(params IReadOnlyList<string> folders) => _folders = folders;

    /// <summary>The <c>prompts</c> folder of the working directory, then the one that comes with the program.</summary>
    public static PromptLibrary Default { get; } = new(FolderName, Path.Combine(AppContext.BaseDirectory, FolderName));

    /// <summary>All names, in order.</summary>
    public IReadOnlyList<string> Names =>
        [
            .. _folders
                .Where(Directory.Exists)
                .SelectMany(folder =>
                    Directory.EnumerateFiles(folder, TemplateFile, SearchOption.AllDirectories).Select(file => NameOf(folder, file))
                )
                .Where(name => name.Count(c => c == '/') == 1)
                .Distinct(StringComparer.Ordinal)
                .Order(StringComparer.Ordinal),
        ];

    /// <param name="name"><c>Plugin/Function</c>, or the path of any other prompt directory.</param>
    /// <exception cref="InvalidInputException">
    /// There is no such prompt (the message lists those there are), or one of its files cannot be read.
    /// </exception>
    public PromptSource Load(string name)
    {
        var names = Names;
        if (names.Contains(name))
        {
            return LoadFolder(
                name,
                _folders.Select(folder => Path.Combine(folder, name)).First(folder => File.Exists(Path.Combine(folder, TemplateFile)))
            );
        }

        if (!File.Exists(Path.Combine(name, TemplateFile)))
        {
            throw new InvalidInputException(
                $"there is no prompt \"{name}\" in {string.Join(" or ", _folders)}, nor a folder of that name with a {TemplateFile}; "
                    + $"{(names.Count == 0 ? "there is none" : NearestName.Suggestion(name, names))}"
            );
        }

        var full = Path.GetFullPath(name).TrimEnd(Path.DirectorySeparatorChar);
        return LoadFolder($"{Path.GetFileName(Path.GetDirectoryName(full))}/{Path.GetFileName(full)}", full);
    }

    static PromptSource LoadFolder(string name, string folder)
    {
        var template = Path.Combine(folder, TemplateFile);
        var config = Path.Combine(folder, ConfigFile);
        if (!File.Exists(config))
        {
            throw new InvalidInputException($"{config}: missing; prompt {name} needs it beside {TemplateFile} to name its input variables");
        }

        return new PromptSource(name, template, Read(name, template), config, Read(name, config));
    }

    static string NameOf(string folder, string file) =>
        Path.GetRelativePath(folder, Path.GetDirectoryName(file)!).Replace(Path.DirectorySeparatorChar, '/');

    const int MostBytes = 16 << 20;

    static string Read(string name, string path)
    {
        try
        {
            var text = Utf8Text.ReadFile(path, MostBytes);
            return text.AsSpan().Trim().Length > 0 ? text : throw new InvalidInputException($"{path}: the file of prompt {name} is empty");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException($"{path}: the file of prompt {name} cannot be read ({e.Message.TrimEnd('.')})", e);
        }
    }
}
