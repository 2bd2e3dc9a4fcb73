using System.Globalization;
using System.Text;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Parses expressions, loosest operators first, as Jinja orders them.</summary>
sealed class ExpressionParser(TokenReader reader)
{
    static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    /// <summary>Binary operators, loosest first.</summary>
    static readonly string[][] BinaryLevels =
    [
        ["+", "-"],
        ["~"],
        ["*", "/", "//", "%"],
    ];

    /// <summary>An expression, or several with commas between them as a list.</summary>
    public Expression ParseList(bool conditional = true)
    {
        var first = Parse(conditional);
        if (!reader.Current.IsOperator(","))
        {
            return first;
        }
        var items = new List<Expression> { first };
        while (reader.TryTake(",") && StartsExpression(reader.Current))
        {
            items.Add(Parse(conditional));
        }
        return new ListExpression(first.Offset, items);
    }

    /// <param name="conditional">
    /// True where <c>a if b else c</c> is allowed; in a <c>for</c>, <c>if</c> starts the loop's own condition.
    /// </param>
    public Expression Parse(bool conditional = true)
    {
        reader.CheckDepth();
        var value = ParseOr();
        while (conditional && reader.TryTakeName("if"))
        {
            var condition = ParseOr();
            value = new ConditionalExpression(value.Offset, value, condition, reader.TryTakeName("else") ? Parse() : null);
        }

        return value;
    }

    static bool StartsExpression(JinjaToken token) =>
        token.Kind switch
        {
            JinjaTokenKind.Name => token.Text is not ("if" or "in" or "recursive"),
            JinjaTokenKind.Operator => token.Text is "(" or "[" or "{" or "-" or "+",
            JinjaTokenKind.String or JinjaTokenKind.Integer or JinjaTokenKind.Float => true,
            _ => false,
        };

    Expression ParseOr()
    {
        var left = ParseAnd();
        while (reader.TryTakeName("or"))
        {
            left = new LogicalExpression(left.Offset, left, ParseAnd(), IsAnd: false);
        }
        return left;
    }

    Expression ParseAnd()
    {
        var left = ParseNot();
        while (reader.TryTakeName("and"))
        {
            left = new LogicalExpression(left.Offset, left, ParseNot(), IsAnd: true);
        }
        return left;
    }

    Expression ParseNot()
    {
        var offset = reader.Current.Offset;
        var negations = 0;
        while (reader.TryTakeName("not"))
        {
            negations++;
        }
        var value = ParseComparison();
        return negations == 0 ? value : new NotExpression(offset, negations % 2 == 1 ? value : new NotExpression(offset, value));
    }

    Expression ParseComparison()
    {
        var first = ParseBinary(0);
        var rest = new List<(string, Expression)>();
        while (TakeComparison() is { } op)
        {
            rest.Add((op, ParseBinary(0)));
        }
        return rest.Count == 0 ? first : new CompareExpression(first.Offset, first, rest);
    }

    string? TakeComparison()
    {
        if (reader.Current.Kind == JinjaTokenKind.Operator && Comparisons.Contains(reader.Current.Text))
        {
            return reader.Take().Text;
        }
        if (reader.TryTakeName("in"))
        {
            return "in";
        }
        if (!reader.Current.Is("not") || !reader.Ahead.Is("in"))
        {
            return null;
        }
        reader.Take();
        reader.Take();
        return "not in";
    }

    Expression ParseBinary(int level)
    {
        if (level == BinaryLevels.Length)
        {
            return ParseUnary(withFilters: true);
        }
        var left = ParseBinary(level + 1);
        while (reader.Current.Kind == JinjaTokenKind.Operator && BinaryLevels[level].Contains(reader.Current.Text))
        {
            var op = reader.Take();
            left = new BinaryExpression(op.Offset, op.Text, left, ParseBinary(level + 1));
        }

        return left;
    }

    Expression ParseUnary(bool withFilters)
    {
        var start = reader.Current;
        Expression value;
        if (start.IsOperator("-") || start.IsOperator("+"))
        {
            var negative = false;
            for (; reader.Current.IsOperator("-") || reader.Current.IsOperator("+"); reader.Take())
            {
                negative ^= reader.Current.Text == "-";
            }
            value = ParseUnary(withFilters: false);
            value = negative ? new NegativeExpression(start.Offset, value) : value;
        }
        else
        {
            value = ParsePostfix(ParsePrimary());
        }

        return withFilters ? ParseFiltersAndTests(value) : value;
    }

    Expression ParsePostfix(Expression value)
    {
        while (reader.Current.Kind == JinjaTokenKind.Operator)
        {
            var offset = reader.Current.Offset;
            if (reader.TryTake("."))
            {
                value = ParseAttribute(value, offset);
            }
            else if (reader.TryTake("["))
            {
                value = ParseSubscript(value, offset);
            }
            else if (reader.Current.IsOperator("("))
            {
                value = new CallExpression(value.Offset, value, ParseArguments());
            }
            else
            {
                break;
            }
        }

        return value;
    }

    Expression ParseAttribute(Expression target, int offset)
    {
        if (reader.Current.Kind == JinjaTokenKind.Integer)
        {
            return new ItemExpression(offset, target, ParsePrimary());
        }
        return new AttributeExpression(offset, target, reader.Expect(JinjaTokenKind.Name, "a name after '.'").Text);
    }

    Expression ParseSubscript(Expression target, int offset)
    {
        var parts = new Expression?[3];
        var colons = 0;
        while (!reader.TryTake("]"))
        {
            if (colons < 2 && reader.TryTake(":"))
            {
                colons++;
            }
            else if (parts[colons] is null)
            {
                parts[colons] = Parse();
            }
            else
            {
                throw reader.Unexpected("']'");
            }
        }

        if (colons > 0)
        {
            return new SliceExpression(offset, target, parts[0], parts[1], parts[2]);
        }
        return new ItemExpression(offset, target, parts[0] ?? throw reader.Error(offset, "there is nothing between '[' and ']'"));
    }

    /// <summary>The filters that follow, in order.</summary>
    public List<FilterCall> ParseFilterCalls()
    {
        var calls = new List<FilterCall>();
        while (reader.TryTake("|"))
        {
            var name = reader.Expect(JinjaTokenKind.Name, "the name of a filter");
            if (!JinjaFilters.All.TryGetValue(name.Text, out var filter))
            {
                throw reader.Error(name.Offset, $"there is no filter '{name.Text}'");
            }
            calls.Add(new FilterCall(name.Offset, filter, reader.Current.IsOperator("(") ? ParseArguments() : ArgumentList.Empty));
        }

        return calls;
    }

    Expression ParseFiltersAndTests(Expression value)
    {
        while (true)
        {
            if (reader.Current.IsOperator("|"))
            {
                value = ParseFilterCalls().Aggregate(value, (inner, filter) => filter.On(inner));
            }
            else if (reader.TryTakeName("is"))
            {
                value = ParseTest(value);
            }
            else if (reader.Current.IsOperator("("))
            {
                value = new CallExpression(value.Offset, value, ParseArguments());
            }
            else
            {
                return value;
            }
        }
    }

    Expression ParseTest(Expression value)
    {
        var negated = reader.TryTakeName("not");
        var name = reader.Expect(JinjaTokenKind.Name, "the name of a test");
        if (!JinjaTests.All.TryGetValue(name.Text, out var test))
        {
            throw reader.Error(name.Offset, $"there is no test '{name.Text}'");
        }
        var arguments = ArgumentList.Empty;
        if (reader.Current.IsOperator("("))
        {
            arguments = ParseArguments();
        }
        else if (StartsTestArgument(reader.Current))
        {
            arguments = new ArgumentList([ParsePostfix(ParsePrimary())], []);
        }
        Expression result = new TestExpression(name.Offset, value, test, arguments);
        return negated ? new NotExpression(name.Offset, result) : result;
    }

    static bool StartsTestArgument(JinjaToken token) =>
        token.Kind switch
        {
            JinjaTokenKind.Name => token.Text is not ("else" or "or" or "and" or "if" or "is" or "not" or "in"),
            JinjaTokenKind.Operator => token.Text is "[" or "{",
            JinjaTokenKind.String or JinjaTokenKind.Integer or JinjaTokenKind.Float => true,
            _ => false,
        };

    ArgumentList ParseArguments()
    {
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        reader.Expect("(");
        while (!reader.TryTake(")"))
        {
            if (positional.Count + named.Count > 0)
            {
                reader.Expect(",");
            }
            if (reader.TryTake(")"))
            {
                break;
            }
            if (reader.Current.Kind == JinjaTokenKind.Name && reader.Ahead.IsOperator("="))
            {
                named.Add((TakeNewName(named), ParseNamedValue()));
            }
            else if (named.Count == 0)
            {
                positional.Add(Parse());
            }
            else
            {
                throw reader.Unexpected("a named argument after a named one");
            }
        }

        return new ArgumentList(positional, named);
    }

    string TakeNewName(List<(string Name, Expression Value)> named)
    {
        var name = reader.Take();
        return named.TrueForAll(other => other.Name != name.Text)
            ? name.Text
            : throw reader.Error(name.Offset, $"the argument '{name.Text}' is given twice");
    }

    Expression ParseNamedValue()
    {
        reader.Expect("=");
        return Parse();
    }

    Expression ParsePrimary()
    {
        var token = reader.Take();
        switch (token.Kind)
        {
            case JinjaTokenKind.Name:
                return ParseName(token);
            case JinjaTokenKind.String:
                var text = new StringBuilder(token.Text);
                while (reader.Current.Kind == JinjaTokenKind.String)
                {
                    text.Append(reader.Take().Text);
                }
                return new LiteralExpression(token.Offset, text.ToString());
            case JinjaTokenKind.Integer:
                return new LiteralExpression(
                    token.Offset,
                    long.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                        ? number
                        : throw reader.Error(token.Offset, "the number does not fit 64 bits")
                );
            case JinjaTokenKind.Float:
                return new LiteralExpression(token.Offset, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case JinjaTokenKind.Operator when token.Text == "(":
                return ParseParenthesis(token);
            case JinjaTokenKind.Operator when token.Text == "[":
                return new ListExpression(token.Offset, ParseItems("]", () => Parse()));
            case JinjaTokenKind.Operator when token.Text == "{":
                return new MapExpression(token.Offset, ParseItems("}", ParseEntry));
            default:
                throw reader.Error(token.Offset, $"expected an expression, found {token.Description}");
        }
    }

    static Expression ParseName(JinjaToken token) =>
        token.Text switch
        {
            "true" or "True" => new LiteralExpression(token.Offset, true),
            "false" or "False" => new LiteralExpression(token.Offset, false),
            "none" or "None" => new LiteralExpression(token.Offset, null),
            _ => new NameExpression(token.Offset, token.Text),
        };

    Expression ParseParenthesis(JinjaToken open)
    {
        if (reader.TryTake(")"))
        {
            return new ListExpression(open.Offset, []);
        }
        var value = ParseList();
        reader.Expect(")");
        return value;
    }

    (Expression Key, Expression Value) ParseEntry()
    {
        var key = Parse();
        reader.Expect(":");
        return (key, Parse());
    }

    List<T> ParseItems<T>(string close, Func<T> parse)
    {
        var items = new List<T>();
        while (!reader.TryTake(close))
        {
            if (items.Count > 0)
            {
                reader.Expect(",");
                if (reader.TryTake(close))
                {
                    break;
                }
            }

            items.Add(parse());
        }

        return items;
    }
}
