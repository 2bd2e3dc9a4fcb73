using System.Text.RegularExpressions;
using TraceDistill.Core.Errors;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace TraceDistill.Cli.Binding;

/// <summary>Reads YAML into <see cref="ConfigNode"/>s that remember their places.</summary>
static partial class YamlConfig
{
    /// <summary>Reads a file that holds one map.</summary>
    /// <exception cref="InvalidInputException">The file is missing, is not YAML, or holds something else than one map.</exception>
    public static ConfigMap ReadFile(string path)
    {
        if (!File.Exists(path))
        {
            throw new InvalidInputException(Directory.Exists(path) ? $"{path}: is a folder; name a YAML file" : $"{path}: no such file");
        }

        var root = Parse(File.ReadAllText(path), path)
            ?? throw new InvalidInputException($"{path}: the file is empty; expected keys with values");
        return root as ConfigMap ?? throw new InvalidInputException($"{root.Location}: expected keys with values, found {TypeWords.Of(root)}");
    }

    /// <summary>Reads the value of a command-line option: YAML's flow form (<c>{ a: 1 }</c> or <c>[1, 2]</c>), or plain text as it is.</summary>
    /// <param name="option">The option's name, to be named in messages.</param>
    public static ConfigNode ParseValue(string text, string option) =>
        text.TrimStart() is ['{' or '[', ..]
            ? AtOption(Parse(text, option)!, new SourceLocation(option))
            : new ConfigScalar(new SourceLocation(option), text);

    /// <returns>Null for a text without content.</returns>
    static ConfigNode? Parse(string text, string source)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlException exception)
        {
            var cause = exception.InnerException is ArgumentException or YamlException ? exception.InnerException : exception;
            var message = MarkPrefix().Replace(cause.Message, "").TrimEnd('.');
            throw new InvalidInputException($"{Place(exception.Start, source)}: not valid YAML: {message}", exception);
        }

        return stream.Documents.Count switch
        {
            0 => null,
            1 => Convert(stream.Documents[0].RootNode, source),
            _ => throw new InvalidInputException($"{Place(stream.Documents[1].RootNode.Start, source)}: a second YAML document; expected one"),
        };
    }

    static ConfigNode Convert(YamlNode node, string source) => node switch
    {
        YamlMappingNode map => new ConfigMap(Place(map.Start, source), [.. map.Children.Select(child => Entry(child.Key, child.Value, source))]),
        YamlSequenceNode list => new ConfigList(Place(list.Start, source), [.. list.Children.Select(item => Convert(item, source))]),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" } empty => new ConfigScalar(Place(empty.Start, source), null),
        YamlScalarNode scalar => new ConfigScalar(Place(scalar.Start, source), scalar.Value, scalar.Style != ScalarStyle.Plain),
        _ => throw new InvalidInputException($"{Place(node.Start, source)}: unexpected {node.NodeType} in YAML"),
    };

    static ConfigEntry Entry(YamlNode key, YamlNode value, string source) => key is YamlScalarNode { Value: { } name }
        ? new ConfigEntry(name, Place(key.Start, source), Convert(value, source))
        : throw new InvalidInputException($"{Place(key.Start, source)}: a key must be plain text");

    static ConfigNode AtOption(ConfigNode node, SourceLocation option) => node switch
    {
        ConfigMap map => map with
        {
            Location = option,
            Entries = [.. map.Entries.Select(entry => entry with { Location = option, Value = AtOption(entry.Value, option) })],
        },
        ConfigList list => list with { Location = option, Items = [.. list.Items.Select(item => AtOption(item, option))] },
        _ => node with { Location = option },
    };

    static SourceLocation Place(Mark mark, string source) => new(source, mark.Line, mark.Column);

    [GeneratedRegex(@"^(\(Line: .*?\) - \(Line: .*?\): )+")]
    private static partial Regex MarkPrefix();
}
