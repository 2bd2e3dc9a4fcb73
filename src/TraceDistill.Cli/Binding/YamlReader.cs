using System.Text.RegularExpressions;
using TraceDistill.Text.Errors;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace TraceDistill.Cli.Binding;

/// <summary>
/// Makes <see cref="ConfigNode"/>s from the events of a YAML text, within bounds: a few bytes
/// of a stranger's can stand for any amount of nesting or repetition.
/// </summary>
/// <param name="text">One YAML document.</param>
/// <param name="source">Its name in error messages.</param>
sealed partial class YamlReader(string text, string source)
{
    const int DeepestNesting = 64;

    /// <summary>Values, each counted as often as aliases repeat it.</summary>
    const int MostNodes = 20_000;

    readonly Parser _parser = new(new StringReader(text));

    /// <summary>Nodes by anchor; null while the node is being read.</summary>
    readonly Dictionary<string, (ConfigNode Node, int Count)?> _anchors = [];
    int _nodes;

    /// <returns>Null for a text without content.</returns>
    /// <exception cref="InvalidInputException">It is not YAML, or beyond the bounds.</exception>
    public ConfigNode? Read()
    {
        try
        {
            Take<StreamStart>();
            if (_parser.Current is StreamEnd)
            {
                return null;
            }

            Take<DocumentStart>();
            var root = Node(depth: 0);
            Take<DocumentEnd>();
            return _parser.Current is DocumentStart second ? throw Wrong(second, "a second YAML document; expected one") : root;
        }
        catch (YamlException exception)
        {
            if (TabbedLine() is { } line)
            {
                throw new InvalidInputException(
                    $"{new SourceLocation(source, line, 1)}: not valid YAML: a tab in the indentation; indent with spaces",
                    exception
                );
            }

            var message = MarkPrefix().Replace(exception.Message, "").ReplaceLineEndings(" ").TrimEnd('.');
            throw new InvalidInputException($"{Place(exception.Start)}: not valid YAML: {message}", exception);
        }
        catch (Exception exception)
            when (exception
                    is ArgumentException
                        or InvalidOperationException
                        or FormatException
                        or IndexOutOfRangeException
                        or OverflowException
            )
        {
            // The library's own slips over malformed text.
            throw new InvalidInputException(
                $"{(_parser.Current is { } current ? Place(current.Start) : source)}: "
                    + $"not valid YAML: {exception.Message.ReplaceLineEndings(" ")}",
                exception
            );
        }
    }

    ConfigNode Node(int depth)
    {
        var here = _parser.Current!;
        if (depth > DeepestNesting)
        {
            throw Wrong(here, $"more than {DeepestNesting} levels of nesting");
        }

        if (here is AnchorAlias alias)
        {
            _parser.MoveNext();
            return Repeat(alias);
        }

        var anchor = here is NodeEvent { Anchor.IsEmpty: false } named ? named.Anchor.Value : null;
        var before = _nodes;
        Count(here, 1);
        if (anchor is not null)
        {
            _anchors[anchor] = null;
        }

        ConfigNode node = here switch
        {
            MappingStart => Map(depth),
            SequenceStart => List(depth),
            Scalar scalar => Value(scalar),
            _ => throw Wrong(here, "expected a value"),
        };
        if (anchor is not null)
        {
            _anchors[anchor] = (node, _nodes - before);
        }

        return node;
    }

    ConfigMap Map(int depth)
    {
        var start = Take<MappingStart>();
        var entries = new List<ConfigEntry>();
        var places = new Dictionary<string, Mark>();
        while (_parser.Current is not MappingEnd)
        {
            var key = _parser.Current is Scalar ? Take<Scalar>() : throw Wrong(_parser.Current!, "a key must be plain text");
            if (!places.TryAdd(key.Value, key.Start))
            {
                throw Wrong(key, $"not valid YAML: the key \"{key.Value}\" is there twice, first in line {places[key.Value].Line}");
            }

            entries.Add(new ConfigEntry(key.Value, Place(key.Start), Node(depth + 1)));
        }

        _parser.MoveNext();
        return new ConfigMap(Place(start.Start), entries);
    }

    ConfigList List(int depth)
    {
        var start = Take<SequenceStart>();
        var items = new List<ConfigNode>();
        while (_parser.Current is not SequenceEnd)
        {
            items.Add(Node(depth + 1));
        }

        _parser.MoveNext();
        return new ConfigList(Place(start.Start), items);
    }

    ConfigScalar Value(Scalar scalar)
    {
        if (scalar.Value.Contains('\0', StringComparison.Ordinal))
        {
            throw Wrong(scalar, "a value holds the character U+0000, which no setting has");
        }

        _parser.MoveNext();
        return scalar is { Style: ScalarStyle.Plain, Value: "" or "~" or "null" }
            ? new ConfigScalar(Place(scalar.Start), null)
            : new ConfigScalar(Place(scalar.Start), scalar.Value, scalar.Style != ScalarStyle.Plain);
    }

    ConfigNode Repeat(AnchorAlias alias)
    {
        if (!_anchors.TryGetValue(alias.Value.Value, out var known))
        {
            throw Wrong(alias, $"no anchor &{alias.Value.Value} before *{alias.Value.Value}");
        }

        var (node, count) = known ?? throw Wrong(alias, $"*{alias.Value.Value} is within its own anchor, which has no end");
        Count(alias, count);
        return node;
    }

    void Count(ParsingEvent here, int nodes)
    {
        _nodes += nodes;
        if (_nodes > MostNodes)
        {
            throw Wrong(here, $"more than {MostNodes:N0} values, aliases counted by their values");
        }
    }

    T Take<T>()
        where T : ParsingEvent
    {
        // Before the first event there is no current one.
        if (_parser.Current is null)
        {
            _parser.MoveNext();
        }

        var taken = _parser.Current as T ?? throw Wrong(_parser.Current!, "not valid YAML: unexpected text");
        _parser.MoveNext();
        return taken;
    }

    /// <summary>The first line that a tab indents: what the library says of it is about something else.</summary>
    int? TabbedLine() =>
        text.Split('\n')
            .Index()
            .Where(line => line.Item.TrimStart(' ').StartsWith('\t') && !string.IsNullOrWhiteSpace(line.Item))
            .Select(line => (int?)line.Index + 1)
            .FirstOrDefault();

    InvalidInputException Wrong(ParsingEvent here, string problem) => new($"{Place(here.Start)}: {problem}");

    SourceLocation Place(Mark mark) => new(source, mark.Line, mark.Column);

    [GeneratedRegex(@"^(\(Line: .*?\) - \(Line: .*?\): )+", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex MarkPrefix();
}
