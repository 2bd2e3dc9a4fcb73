namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Way in which a statement ended.</summary>
enum Flow
{
    Next,
    Break,
    Continue,
}

/// <summary>A part of a template that does something.</summary>
/// <param name="Offset">Where it starts in the source.</param>
abstract record Statement(int Offset)
{
    public Flow Execute(JinjaContext context)
    {
        context.Visit(Offset);
        return Run(context);
    }

    protected abstract Flow Run(JinjaContext context);
}

/// <summary>Statements in order.</summary>
sealed record Block(IReadOnlyList<Statement> Statements)
{
    public Flow Execute(JinjaContext context)
    {
        foreach (var statement in Statements)
        {
            if (statement.Execute(context) is var flow and not Flow.Next)
            {
                return flow;
            }
        }

        return Flow.Next;
    }
}

sealed record TextStatement(int Offset, string Text) : Statement(Offset)
{
    protected override Flow Run(JinjaContext context)
    {
        context.Write(Text);
        return Flow.Next;
    }
}

/// <summary><c>{{ expression }}</c></summary>
sealed record OutputStatement(int Offset, Expression Value) : Statement(Offset)
{
    protected override Flow Run(JinjaContext context)
    {
        context.Write(JinjaValues.ToText(Value.Evaluate(context)));
        return Flow.Next;
    }
}

sealed record IfStatement(int Offset, IReadOnlyList<(Expression Condition, Block Body)> Branches, Block? Otherwise) : Statement(Offset)
{
    protected override Flow Run(JinjaContext context)
    {
        foreach (var (condition, body) in Branches)
        {
            if (JinjaValues.IsTrue(condition.Evaluate(context)))
            {
                return body.Execute(context);
            }
        }

        return Otherwise?.Execute(context) ?? Flow.Next;
    }
}

/// <summary><c>for a, b in items if condition</c>; what the body sets is forgotten after each item.</summary>
sealed record ForStatement(int Offset, Target Target, Expression Items, Expression? Condition, Block Body, Block? Otherwise)
    : Statement(Offset)
{
    protected override Flow Run(JinjaContext context)
    {
        var items = context.Items(Items.Evaluate(context));
        context.ChargeItems(items.Count);
        if (Condition is not null)
        {
            items = [.. items.Where(item => context.InScope(() => Holds(context, item)))];
        }
        if (items.Count == 0)
        {
            return Otherwise?.Execute(context) ?? Flow.Next;
        }
        var loop = new LoopVariable(items);
        for (; loop.Index < items.Count; loop.Index++)
        {
            if (context.InScope(() => RunItem(context, loop, items[loop.Index])) == Flow.Break)
            {
                break;
            }
        }

        return Flow.Next;
    }

    bool Holds(JinjaContext context, object? item)
    {
        Target.Assign(context, item);
        return JinjaValues.IsTrue(Condition!.Evaluate(context));
    }

    Flow RunItem(JinjaContext context, LoopVariable loop, object? item)
    {
        context.Set("loop", loop);
        Target.Assign(context, item);
        return Body.Execute(context);
    }
}

/// <summary><c>break</c> and <c>continue</c></summary>
sealed record FlowStatement(int Offset, Flow Flow) : Statement(Offset)
{
    protected override Flow Run(JinjaContext context) => Flow;
}

/// <summary><c>set</c>, both with a value and with a block.</summary>
sealed record SetStatement(int Offset, Target Target, Expression Value) : Statement(Offset)
{
    protected override Flow Run(JinjaContext context)
    {
        Target.Assign(context, Value.Evaluate(context));
        return Flow.Next;
    }
}

/// <summary>A macro: a function whose value is the text its body writes.</summary>
sealed record MacroStatement(int Offset, string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, Block Body)
    : Statement(Offset)
{
    protected override Flow Run(JinjaContext context)
    {
        context.Set(Name, (JinjaFunction)Call);
        return Flow.Next;
    }

    string Call(JinjaContext context, Arguments arguments)
    {
        var values = arguments.Bind([.. Parameters.Select(parameter => parameter.Name)]);
        return context.InMacro(() =>
        {
            for (var i = 0; i < values.Length; i++)
            {
                context.Set(
                    Parameters[i].Name,
                    values[i] is Undefined && Parameters[i].Default is { } absent ? absent.Evaluate(context) : values[i]
                );
            }
            return context.Capture(() => Body.Execute(context));
        });
    }
}

/// <summary><c>{% generation %} … {% endgeneration %}</c>, around what the assistant says; the output notes where it stands.</summary>
sealed record GenerationStatement(int Offset, Block Body) : Statement(Offset)
{
    protected override Flow Run(JinjaContext context) => context.Output.Generate(() => context.InScope(() => Body.Execute(context)));
}
