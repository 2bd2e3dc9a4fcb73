using System.CommandLine;
using TraceDistill.Cli.Binding;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.CommandLine;

/// <summary>The command-line options of an options record, made from its properties.</summary>
sealed class OptionTokens
{
    readonly List<(OptionProperty Property, Symbol Symbol)> _symbols = [];

    public OptionTokens(Type optionsType, Command command)
    {
        foreach (var property in OptionSchema.Of(optionsType).Properties)
        {
            if (property.IsPositional)
            {
                var argument = new Argument<string>(property.CommandLineName)
                {
                    Description = property.Description,
                    Arity = ArgumentArity.ZeroOrOne,
                };
                command.Add(argument);
                _symbols.Add((property, argument));
            }
            else
            {
                var option = Create(property);
                option.Description = Describe(property);
                command.Add(option);
                _symbols.Add((property, option));
            }
        }
    }

    /// <summary>Reads the options that were given, as settings to be bound.</summary>
    public ConfigMap Read(ParseResult result)
    {
        var entries = new List<ConfigEntry>();
        foreach (var (property, symbol) in _symbols)
        {
            var tokens = symbol is Argument argument ? result.GetResult(argument)?.Tokens : GivenTokens(result, (Option)symbol);
            if (symbol is Argument ? tokens is { Count: > 0 } : tokens is not null)
            {
                var name = property.CommandLineName;
                entries.Add(
                    new ConfigEntry(
                        property.Key,
                        new SourceLocation(name),
                        Value(property, name, [.. tokens!.Select(token => token.Value)])
                    )
                );
            }
        }

        return new ConfigMap(SourceLocation.CommandLine, entries);
    }

    static IReadOnlyList<System.CommandLine.Parsing.Token>? GivenTokens(ParseResult result, Option option) =>
        result.GetResult(option) is { Implicit: false } given ? given.Tokens : null;

    static Option Create(OptionProperty property)
    {
        var type = Nullable.GetUnderlyingType(property.Type) ?? property.Type;
        if (type == typeof(bool))
        {
            return new Option<bool>(property.CommandLineName);
        }

        if (OptionShape.ListItem(type) is not null || OptionShape.DictionaryValue(type) is not null)
        {
            return new Option<string[]>(property.CommandLineName)
            {
                HelpName = TypeWords.Placeholder(property),
                AllowMultipleArgumentsPerToken = true,
                Arity = ArgumentArity.OneOrMore,
            };
        }

        return new Option<string>(property.CommandLineName)
        {
            HelpName = TypeWords.Placeholder(property),
            Arity = property.IsFlagOrValue ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
        };
    }

    static ConfigNode Value(OptionProperty property, string name, string[] tokens)
    {
        var location = new SourceLocation(name);
        return property switch
        {
            _ when tokens.Length == 0 => new ConfigScalar(location, "true"),
            _ when tokens is [YamlConfig.None] && !IsText(property.Type) => new ConfigScalar(location, null),
            _ when OptionShape.DictionaryValue(property.Type) is { } value => Dictionary(location, tokens, value),
            _ when OptionShape.ListItem(property.Type) is { } item && OptionShape.IsScalar(item) && !OptionShape.IsRecord(item) =>
                new ConfigScalar(location, string.Join(',', tokens)),
            _ when OptionShape.ListItem(property.Type) is { } item => new ConfigList(
                location,
                [.. tokens.SelectMany(token => Items(token, item)).Select(text => YamlConfig.ParseValue(text, name))]
            ),
            _ => Single(property.Type, tokens[0], name),
        };
    }

    /// <summary>Items that can be written as one value may stand in one text with commas; a map has commas of its own.</summary>
    static string[] Items(string token, Type item) =>
        OptionShape.IsScalar(item) && token.TrimStart() is not ['{' or '[', ..]
            ? token.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : [token];

    static ConfigNode Dictionary(SourceLocation location, string[] tokens, Type valueType)
    {
        if (tokens is [var map] && map.TrimStart().StartsWith('{'))
        {
            return YamlConfig.ParseValue(map, location.Source);
        }

        if (tokens.Any(token => !token.Contains('=')))
        {
            return new ConfigScalar(location, string.Join(' ', tokens));
        }

        var pairs = tokens.Select(token => token.Split('=', 2)).ToList();
        // Of texts, such as --set, the last counts.
        if (valueType != typeof(string) && pairs.GroupBy(pair => pair[0]).FirstOrDefault(same => same.Count() > 1) is { } twice)
        {
            throw new InvalidInputException($"{location.Source}: \"{twice.Key}\" is given twice");
        }

        return new ConfigMap(
            location,
            [.. pairs.Select(pair => new ConfigEntry(pair[0], location, Single(valueType, pair[1], location.Source)))]
        );
    }

    static bool IsText(Type type) => type == typeof(string);

    static ConfigNode Single(Type type, string text, string name) =>
        IsText(type) ? new ConfigScalar(new SourceLocation(name), text) : YamlConfig.ParseValue(text, name);

    static string Describe(OptionProperty property)
    {
        var text = property.Description ?? "";
        var note = (property.IsRequired, property.Default) switch
        {
            (true, _) => "(required)",
            (_, string { Length: > 0 } or int or long or double or float) => $"[{property.Default}]",
            (_, true) => "[true]",
            (_, Enum value) => $"[{EnumNames.Of(value)}]",
            _ => "",
        };
        return $"{text} {note}".Trim();
    }
}
