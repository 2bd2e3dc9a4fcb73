using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Python's operators on template values.</summary>
static class Operators
{
    public static bool Compare(JinjaContext context, string op, object? left, object? right) =>
        op switch
        {
            "==" => JinjaValues.Equals(context, left, right),
            "!=" => !JinjaValues.Equals(context, left, right),
            "in" => JinjaValues.Contains(context, right, left),
            "not in" => !JinjaValues.Contains(context, right, left),
            "<" => JinjaValues.Compare(context, left, right) < 0,
            "<=" => JinjaValues.Compare(context, left, right) <= 0,
            ">" => JinjaValues.Compare(context, left, right) > 0,
            _ => JinjaValues.Compare(context, left, right) >= 0,
        };

    public static object? Apply(JinjaContext context, string op, object? left, object? right) =>
        (op, left, right) switch
        {
            ("~", _, _) => Concatenate(context, context.Text(left), context.Text(right)),
            ("+", string a, string b) => Concatenate(context, a, b),
            ("+", List<object?> a, List<object?> b) => Concatenate(context, a, b),
            ("*", string text, long times) => Repeat(context, text, times),
            (not "/", long or bool, long or bool) => Integers(op, JinjaValues.ToInteger(left), JinjaValues.ToInteger(right)),
            _ when JinjaValues.IsNumber(left) && JinjaValues.IsNumber(right) => Floats(
                op,
                JinjaValues.ToDouble(left),
                JinjaValues.ToDouble(right)
            ),
            _ => throw new JinjaFailure($"'{op}' does not apply to {JinjaValues.TypeName(left)} and {JinjaValues.TypeName(right)}"),
        };

    static string Concatenate(JinjaContext context, string left, string right)
    {
        context.Charge((long)left.Length + right.Length);
        return left + right;
    }

    static List<object?> Concatenate(JinjaContext context, List<object?> left, List<object?> right)
    {
        context.ChargeItems((long)left.Count + right.Count);
        return context.ChargeWhole((List<object?>)[.. left, .. right]);
    }

    static string Repeat(JinjaContext context, string text, long times)
    {
        if (text.Length == 0 || times <= 0)
        {
            return "";
        }
        context.Charge(times > int.MaxValue ? long.MaxValue : text.Length * times);
        return new StringBuilder(text.Length * (int)times).Insert(0, text, (int)times).ToString();
    }

    static long Integers(string op, long left, long right)
    {
        if (right == 0 && op is "//" or "%")
        {
            throw new JinjaFailure("division by zero");
        }
        var adjust = op is "//" or "%" && left % right != 0 && left < 0 != right < 0;
        return checked(
            op switch
            {
                "+" => left + right,
                "-" => left - right,
                "*" => left * right,
                "//" => (left / right) - (adjust ? 1 : 0),
                _ => (left % right) + (adjust ? right : 0),
            }
        );
    }

    static double Floats(string op, double left, double right)
    {
        if (right == 0 && op is "/" or "//" or "%")
        {
            throw new JinjaFailure("division by zero");
        }
        return op switch
        {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            "//" => Math.Floor(left / right),
            _ => left - (right * Math.Floor(left / right)),
        };
    }
}
