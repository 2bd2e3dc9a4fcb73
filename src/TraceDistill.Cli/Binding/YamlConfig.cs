using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Cli.Binding;

/// <summary>Reads YAML into <see cref="ConfigNode"/>s that remember their places.</summary>
static class YamlConfig
{
    /// <summary>Many times what a recipe holds.</summary>
    const int MostBytes = 1 << 20;

    /// <summary>Reads a file that holds one map.</summary>
    /// <exception cref="InvalidInputException">The file is missing, is not YAML, or holds something else than one map.</exception>
    public static ConfigMap ReadFile(string path)
    {
        if (!File.Exists(path))
        {
            throw new InvalidInputException(Directory.Exists(path) ? $"{path}: is a folder; name a YAML file" : $"{path}: no such file");
        }

        InputFile.EnsureReadable(path);
        var root = new YamlReader(Utf8Text.ReadFile(path, MostBytes), path).Read()
            ?? throw new InvalidInputException($"{path}: the file is empty; expected keys with values");
        return root as ConfigMap
            ?? throw new InvalidInputException($"{root.Location}: expected keys with values, found {TypeWords.Of(root)}");
    }

    /// <summary>
    /// Reads the value of a command-line option: YAML's flow form (<c>{ a: 1 }</c> or <c>[1, 2]</c>), <c>null</c> for none, or plain text
    /// as it is.
    /// </summary>
    /// <param name="option">The option's name, to be named in messages.</param>
    public static ConfigNode ParseValue(string text, string option) =>
        text.TrimStart() is ['{' or '[', ..]
            ? AtOption(new YamlReader(text, option).Read()!, new SourceLocation(option))
            : new ConfigScalar(new SourceLocation(option), text == None ? null : text);

    /// <summary>The value of an option that is not given.</summary>
    public const string None = "null";

    static ConfigNode AtOption(ConfigNode node, SourceLocation option) =>
        node switch
        {
            ConfigMap map => map with
            {
                Location = option,
                Entries = [.. map.Entries.Select(entry => entry with { Location = option, Value = AtOption(entry.Value, option) })],
            },
            ConfigList list => list with { Location = option, Items = [.. list.Items.Select(item => AtOption(item, option))] },
            _ => node with { Location = option },
        };
}
