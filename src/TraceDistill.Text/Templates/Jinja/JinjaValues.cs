using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Python's meaning of truth, equality, order, length, iteration and <c>str</c> for template values.</summary>
static class JinjaValues
{
    /// <summary>Nesting past this is not written out.</summary>
    public const int MaxDepth = 64;

    public static bool IsTrue(object? value) =>
        value switch
        {
            null or Undefined or false or 0L or 0.0 or "" => false,
            List<object?> list => list.Count > 0,
            JinjaMap map => map.Count > 0,
            _ => true,
        };

    public static bool Equals(JinjaContext context, object? left, object? right)
    {
        context.ChargeComparison(left, right);
        return (left, right) switch
        {
            (null, null) or (Undefined, Undefined) => true,
            (string a, string b) => a == b,
            (List<object?> a, List<object?> b) => a.Count == b.Count && a.Zip(b).All(pair => Equals(context, pair.First, pair.Second)),
            (JinjaMap a, JinjaMap b) => a.Count == b.Count
                && a.All(entry => b.TryGetValue(entry.Key, out var value) && Equals(context, entry.Value, value)),
            _ when IsNumber(left) && IsNumber(right) => ToDouble(left) == ToDouble(right),
            _ => ReferenceEquals(left, right),
        };
    }

    /// <returns>Negative, zero or positive, as for <see cref="IComparable"/>.</returns>
    public static int Compare(JinjaContext context, object? left, object? right)
    {
        context.ChargeComparison(left, right);
        return Compare(left, right);
    }

    /// <summary>As above, of values whose comparison is paid for.</summary>
    public static int Compare(object? left, object? right)
    {
        if (left is string a && right is string b)
        {
            return string.CompareOrdinal(a, b);
        }
        if (IsNumber(left) && IsNumber(right))
        {
            return ToDouble(left).CompareTo(ToDouble(right));
        }
        throw new JinjaFailure($"{TypeName(left)} and {TypeName(right)} cannot be put in order");
    }

    public static bool Contains(JinjaContext context, object? container, object? item)
    {
        switch (container)
        {
            case string text when item is string part:
                context.ChargeSearch(text, part);
                return text.Contains(part, StringComparison.Ordinal);
            case string:
                throw new JinjaFailure($"'in' a string needs a string, not {TypeName(item)}");
            case JinjaMap map:
                return item is not null && map.ContainsKey(item);
            default:
                return Items(container).Any(other => Equals(context, other, item));
        }
    }

    public static IReadOnlyList<object?> Items(object? value) =>
        value switch
        {
            List<object?> list => list,
            LazySequence lazy => lazy.Items,
            string text => PythonText.Characters(text).ToList<object?>(),
            JinjaMap map => map.Keys.ToList<object?>(),
            Undefined => [],
            _ => throw new JinjaFailure($"{TypeName(value)} cannot be gone through"),
        };

    public static long Length(object? value) =>
        value switch
        {
            string text => PythonText.Length(text),
            List<object?> list => list.Count,
            JinjaMap map => map.Count,
            Undefined => 0,
            _ => throw new JinjaFailure($"{TypeName(value)} has no length"),
        };

    public static bool IsNumber(object? value) => value is long or double or bool;

    public static double ToDouble(object? value) =>
        value switch
        {
            long number => number,
            double number => number,
            bool flag => flag ? 1 : 0,
            _ => throw new JinjaFailure($"{TypeName(value)} is not a number"),
        };

    public static long ToInteger(object? value) =>
        value switch
        {
            long number => number,
            bool flag => flag ? 1 : 0,
            _ => throw new JinjaFailure($"{TypeName(value)} is not an integer"),
        };

    public static string ToText(object? value) =>
        value is string text ? text
        : value is Undefined ? ""
        : Repr(value, 0);

    public static string RequireText(object? value) =>
        value as string ?? throw new JinjaFailure($"a string is needed, not {TypeName(value)}");

    public static string TypeName(object? value) =>
        value switch
        {
            null => "none",
            Undefined undefined => $"the undefined '{undefined.Name}'",
            bool => "a boolean",
            long => "an integer",
            double => "a float",
            string => "a string",
            List<object?> => "a list",
            JinjaMap => "a mapping",
            LazySequence => "a generator",
            _ => "a function or namespace",
        };

    static string Repr(object? value, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new JinjaFailure("the value is nested too deeply to print");
        }
        return value switch
        {
            null => "None",
            true => "True",
            false => "False",
            long number => number.ToString(CultureInfo.InvariantCulture),
            double number => PythonText.Float(number),
            string text => PythonText.Repr(text),
            Undefined => "Undefined",
            List<object?> list => Join('[', list.Select(item => Repr(item, depth + 1)), ']'),
            JinjaMap map => Join('{', map.Select(entry => $"{Repr(entry.Key, depth + 1)}: {Repr(entry.Value, depth + 1)}"), '}'),
            _ => throw new JinjaFailure($"{TypeName(value)} cannot be printed"),
        };
    }

    static string Join(char open, IEnumerable<string> parts, char close) =>
        new StringBuilder().Append(open).AppendJoin(", ", parts).Append(close).ToString();
}
