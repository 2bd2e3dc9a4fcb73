namespace TraceDistill.Text.Templates.Jinja;

/// <summary>A part of a template that has a value.</summary>
/// <param name="Offset">Where it starts in the source.</param>
abstract record Expression(int Offset)
{
    public object? Evaluate(JinjaContext context)
    {
        context.Visit(Offset);
        return Compute(context);
    }

    protected abstract object? Compute(JinjaContext context);
}

sealed record LiteralExpression(int Offset, object? Value) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) => Value;
}

sealed record NameExpression(int Offset, string Name) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) => context.Find(Name);
}

sealed record ListExpression(int Offset, IReadOnlyList<Expression> Items) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) => context.ChargeWhole(Items.Select(item => item.Evaluate(context)).ToList());
}

sealed record MapExpression(int Offset, IReadOnlyList<(Expression Key, Expression Value)> Entries) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var map = new JinjaMap();
        foreach (var (key, value) in Entries)
        {
            map[Key(key.Evaluate(context))] = value.Evaluate(context);
        }
        return context.ChargeWhole(map);
    }

    /// <summary>Values without parts: a list as a key could come to contain itself.</summary>
    static object Key(object? key) =>
        key is string or long or double or bool ? key : throw new JinjaFailure($"{JinjaValues.TypeName(key)} cannot be a key");
}

/// <summary><c>a.b</c>: a method or, failing that, an item.</summary>
sealed record AttributeExpression(int Offset, Expression Target, string Name) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) => Lookup.Attribute(context.ChargeScan(Target.Evaluate(context)), Name);
}

/// <summary><c>a[b]</c>: an item or, failing that, a method.</summary>
sealed record ItemExpression(int Offset, Expression Target, Expression Key) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) =>
        Lookup.Item(context.ChargeScan(Target.Evaluate(context)), context.ChargeScan(Key.Evaluate(context)));
}

/// <summary><c>a[start:stop:step]</c></summary>
sealed record SliceExpression(int Offset, Expression Target, Expression? Start, Expression? Stop, Expression? Step) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var target = Target.Evaluate(context);
        context.ChargeItems(target is string text ? text.Length : 0); // Its characters become a list.
        var slice = Lookup.Slice(target, Bound(Start, context), Bound(Stop, context), Bound(Step, context));
        context.ChargeItems(JinjaValues.Length(slice));
        return slice;
    }

    static long? Bound(Expression? bound, JinjaContext context) =>
        bound?.Evaluate(context) is { } value ? JinjaValues.ToInteger(value) : null;
}

/// <summary>The arguments as written in a call.</summary>
sealed record ArgumentList(IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named)
{
    public static ArgumentList Empty { get; } = new([], []);

    public Arguments Evaluate(JinjaContext context) =>
        Positional.Count + Named.Count == 0
            ? Arguments.None
            : new Arguments(
                [.. Positional.Select(argument => argument.Evaluate(context))],
                Named.ToDictionary(argument => argument.Name, argument => argument.Value.Evaluate(context))
            );
}

sealed record CallExpression(int Offset, Expression Target, ArgumentList Arguments) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var target = Target.Evaluate(context);
        var arguments = Arguments.Evaluate(context);
        context.Visit(Offset);
        return target is JinjaFunction function
            ? function(context, arguments)
            : throw new JinjaFailure($"{JinjaValues.TypeName(target)} cannot be called");
    }
}

/// <summary>A filter as written behind a value.</summary>
sealed record FilterCall(int Offset, JinjaFilter Filter, ArgumentList Arguments)
{
    public Expression On(Expression value) => new FilterExpression(Offset, value, Filter, Arguments);
}

/// <summary><c>value | filter</c></summary>
sealed record FilterExpression(int Offset, Expression Value, JinjaFilter Filter, ArgumentList Arguments) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var value = context.ChargeScan(Value.Evaluate(context));
        var arguments = Arguments.Evaluate(context);
        context.Visit(Offset);
        return Filter(context, value, arguments);
    }
}

/// <summary><c>value is test</c></summary>
sealed record TestExpression(int Offset, Expression Value, JinjaTest Test, ArgumentList Arguments) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) =>
        Test(context, context.ChargeScan(Value.Evaluate(context)), Arguments.Evaluate(context));
}

sealed record NotExpression(int Offset, Expression Value) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) => !JinjaValues.IsTrue(Value.Evaluate(context));
}

/// <summary><c>and</c>, <c>or</c>: the value of the operand that decides.</summary>
sealed record LogicalExpression(int Offset, Expression Left, Expression Right, bool IsAnd) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var left = Left.Evaluate(context);
        return JinjaValues.IsTrue(left) == IsAnd ? Right.Evaluate(context) : left;
    }
}

/// <summary><c>a if condition else b</c></summary>
sealed record ConditionalExpression(int Offset, Expression Value, Expression Condition, Expression? Otherwise) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) =>
        JinjaValues.IsTrue(Condition.Evaluate(context)) ? Value.Evaluate(context)
        : Otherwise is null ? new Undefined("else")
        : Otherwise.Evaluate(context);
}

/// <summary><c>a &lt; b &lt;= c</c>: each neighbouring pair holds.</summary>
sealed record CompareExpression(int Offset, Expression First, IReadOnlyList<(string Operator, Expression Right)> Rest) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var left = context.ChargeScan(First.Evaluate(context));
        foreach (var (op, expression) in Rest)
        {
            var right = context.ChargeScan(expression.Evaluate(context));
            if (!Operators.Compare(context, op, left, right))
            {
                return false;
            }
            left = right;
        }

        return true;
    }
}

/// <summary><c>+ - * / // % ~</c></summary>
sealed record BinaryExpression(int Offset, string Operator, Expression Left, Expression Right) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context)
    {
        var left = Left.Evaluate(context);
        var right = Right.Evaluate(context);
        context.Visit(Offset);
        return Operators.Apply(context, Operator, left, right);
    }
}

sealed record NegativeExpression(int Offset, Expression Value) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) =>
        Value.Evaluate(context) is var value && value is double number ? (object)-number : checked(-JinjaValues.ToInteger(value));
}

/// <summary>The text that a block writes, as a string.</summary>
sealed record CaptureExpression(int Offset, Block Body) : Expression(Offset)
{
    protected override object? Compute(JinjaContext context) => context.InScope(() => context.Capture(() => Body.Execute(context)));
}
