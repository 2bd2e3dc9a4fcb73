using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>JSON as Python's <c>json.dumps</c> writes it.</summary>
/// <param name="context">Is charged for each part before it is written.</param>
/// <param name="indent">Spaces a level, or negative for one line.</param>
/// <param name="itemSeparator">Between items.</param>
/// <param name="keySeparator">Between a key and its value.</param>
/// <param name="ensureAscii">True where other characters are escaped.</param>
/// <param name="sortKeys">True where keys are put in order.</param>
sealed class PythonJson(JinjaContext context, int indent, string itemSeparator, string keySeparator, bool ensureAscii, bool sortKeys)
{
    readonly StringBuilder _json = new();

    public string Write(object? value)
    {
        Write(value, 0);
        return _json.ToString();
    }

    void Write(object? value, int depth)
    {
        if (depth > JinjaValues.MaxDepth)
        {
            throw new JinjaFailure("the value is nested too deeply for JSON");
        }
        context.ChargeItems(1);
        switch (value)
        {
            case null:
                _json.Append("null");
                break;
            case bool flag:
                _json.Append(flag ? "true" : "false");
                break;
            case long number:
                _json.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            case double number:
                _json.Append(
                    double.IsFinite(number) ? PythonText.Float(number)
                    : double.IsNaN(number) ? "NaN"
                    : number > 0 ? "Infinity"
                    : "-Infinity"
                );
                break;
            case string text:
                WriteString(text);
                break;
            case List<object?> list:
                WriteAll('[', list, ']', depth, item => Write(item, depth + 1));
                break;
            case JinjaMap map:
                if (sortKeys)
                {
                    context.ChargeSorting([.. map.Keys]);
                }
                var entries = sortKeys ? map.OrderBy(entry => JinjaValues.ToText(entry.Key), StringComparer.Ordinal) : map.AsEnumerable();
                WriteAll('{', [.. entries], '}', depth, entry => WriteEntry(entry, depth));
                break;
            default:
                throw new JinjaFailure($"{JinjaValues.TypeName(value)} cannot be written as JSON");
        }
    }

    void WriteAll<T>(char open, List<T> items, char close, int depth, Action<T> write)
    {
        context.Charge((long)items.Count * (itemSeparator.Length + keySeparator.Length + 2 + Math.Max(0, indent * (depth + 1))));
        _json.Append(open);
        for (var i = 0; i < items.Count; i++)
        {
            if (i > 0)
            {
                _json.Append(itemSeparator);
            }
            NewLine(depth + 1);
            write(items[i]);
        }

        if (items.Count > 0)
        {
            NewLine(depth);
        }
        _json.Append(close);
    }

    void WriteEntry(KeyValuePair<object, object?> entry, int depth)
    {
        WriteString(entry.Key as string ?? new PythonJson(context, -1, "", "", ensureAscii, false).Write(entry.Key));
        _json.Append(keySeparator);
        Write(entry.Value, depth + 1);
    }

    void NewLine(int depth)
    {
        if (indent >= 0)
        {
            _json.Append('\n').Append(' ', indent * depth);
        }
    }

    void WriteString(string text)
    {
        context.Charge(text.Length * (ensureAscii ? 6L : 2L));
        _json.Append('"');
        foreach (var character in text)
        {
            _json.Append(
                character switch
                {
                    '"' => "\\\"",
                    '\\' => "\\\\",
                    '\n' => "\\n",
                    '\r' => "\\r",
                    '\t' => "\\t",
                    '\b' => "\\b",
                    '\f' => "\\f",
                    < ' ' => $"\\u{(int)character:x4}",
                    _ when ensureAscii && character > '~' => $"\\u{(int)character:x4}",
                    _ => null,
                }
            );
            if (character >= ' ' && character is not ('"' or '\\') && !(ensureAscii && character > '~'))
            {
                _json.Append(character);
            }
        }

        _json.Append('"');
    }
}
