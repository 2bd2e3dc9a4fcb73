using System.Globalization;
using System.Reflection;

namespace TraceDistill.Cli.Binding;

/// <summary>Gives one plain value its type.</summary>
static class ScalarBinder
{
    const NumberStyles Whole = NumberStyles.AllowLeadingSign;
    const NumberStyles Real = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

    /// <returns>The value, or null with what is wrong in <paramref name="problem"/>.</returns>
    /// <remarks>
    /// Underscores may group digits (<c>1_000_000</c>), and whole numbers may be written <c>1e6</c>, as in YAML and Python.
    /// </remarks>
    public static object? Parse(Type type, string text, out string? problem)
    {
        problem = null;
        var digits = text.Contains('_') ? text.Replace("_", "") : text;
        object? value = type switch
        {
            _ when type == typeof(string) => text,
            _ when type == typeof(bool) => text.ToLowerInvariant() switch
            {
                "true" or "yes" or "on" => true,
                "false" or "no" or "off" => false,
                _ => null,
            },
            _ when type == typeof(int) => WholeNumber(digits) is >= int.MinValue and <= int.MaxValue and var number ? (int)number : null,
            _ when type == typeof(long) => WholeNumber(digits),
            _ when type == typeof(double) => double.TryParse(digits, Real, CultureInfo.InvariantCulture, out var number) ? number : null,
            _ when type == typeof(float) => float.TryParse(digits, Real, CultureInfo.InvariantCulture, out var number) ? number : null,
            { IsEnum: true } => EnumNames.Parse(type, text),
            _ when OptionShape.Shorthand(type) is { } property => OfShorthand(type, property, text, out problem),
            _ => ParseItself(type, text, out problem),
        };
        if (value is null)
        {
            problem ??= $"expected {TypeWords.Expected(type)}, found \"{text}\"";
        }

        return value;
    }

    static object? OfShorthand(Type type, PropertyInfo property, string text, out string? problem)
    {
        if (Parse(property.PropertyType, text, out problem) is not { } value)
        {
            return null;
        }

        var record = Activator.CreateInstance(type)!;
        property.SetValue(record, value);
        return record;
    }

    static long? WholeNumber(string text)
    {
        if (long.TryParse(text, Whole, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        return
            decimal.TryParse(text, Real, CultureInfo.InvariantCulture, out var real)
            && real == decimal.Truncate(real)
            && real is >= long.MinValue and <= long.MaxValue
            ? (long)real
            : null;
    }

    static object? ParseItself(Type type, string text, out string? problem)
    {
        problem = null;
        try
        {
            return OptionShape.ParseMethod(type)!.Invoke(null, [text, CultureInfo.InvariantCulture]);
        }
        catch (TargetInvocationException exception)
            when (exception.InnerException is FormatException or OverflowException or ArgumentException)
        {
            problem = exception.InnerException.Message;
            return null;
        }
    }
}
