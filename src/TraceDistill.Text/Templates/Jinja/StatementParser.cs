namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Parses a template: text, <c>{{ }}</c> and <c>{% %}</c>.</summary>
sealed class StatementParser
{
    readonly TokenReader _reader;
    readonly ExpressionParser _expressions;
    int _loops;

    StatementParser(JinjaSource source)
    {
        _reader = new TokenReader(source, JinjaLexer.Read(source));
        _expressions = new ExpressionParser(_reader);
    }

    public static Block Parse(JinjaSource source)
    {
        var parser = new StatementParser(source);
        return parser.ParseBlock(opened: null);
    }

    /// <summary>Statements up to one of the closing names, which is left as the current token, or to the end of the template.</summary>
    Block ParseBlock(JinjaToken? opened, params ReadOnlySpan<string> closing)
    {
        _reader.CheckDepth();
        var statements = new List<Statement>();
        while (_reader.Current.Kind != JinjaTokenKind.End)
        {
            var token = _reader.Take();
            if (token.Kind == JinjaTokenKind.Text)
            {
                statements.Add(new TextStatement(token.Offset, token.Text));
            }
            else if (token.Kind == JinjaTokenKind.ExpressionStart)
            {
                statements.Add(new OutputStatement(token.Offset, _expressions.ParseList()));
                _reader.Expect(JinjaTokenKind.ExpressionEnd, "'}}'");
            }
            else if (_reader.Current.Kind == JinjaTokenKind.Name && closing.Contains(_reader.Current.Text))
            {
                return new Block(statements);
            }
            else
            {
                statements.Add(ParseStatement());
            }
        }

        return opened is not { } tag
            ? new Block(statements)
            : throw _reader.Error(tag.Offset, $"'{tag.Text}' is not closed with '{closing[^1]}'");
    }

    /// <summary>A block and the tag that closes it.</summary>
    Block ParseClosed(JinjaToken opened, string closing)
    {
        EndTag();
        var body = ParseBlock(opened, closing);
        _reader.Take();
        EndTag();
        return body;
    }

    void EndTag() => _reader.Expect(JinjaTokenKind.StatementEnd, "'%}'");

    Statement ParseStatement()
    {
        var name = _reader.Expect(JinjaTokenKind.Name, "the name of a statement");
        switch (name.Text)
        {
            case "if":
                return ParseIf(name);
            case "for":
                return ParseFor(name);
            case "set":
                return ParseSet(name);
            case "macro":
                return ParseMacro(name);
            case "generation":
                return new GenerationStatement(name.Offset, ParseClosed(name, "endgeneration"));
            case "break" or "continue":
                if (_loops == 0)
                {
                    throw _reader.Error(name.Offset, $"'{name.Text}' is outside of a loop");
                }
                EndTag();
                return new FlowStatement(name.Offset, name.Text == "break" ? Flow.Break : Flow.Continue);
            default:
                throw _reader.Error(name.Offset, $"the statement '{name.Text}' is not known here");
        }
    }

    IfStatement ParseIf(JinjaToken name)
    {
        var branches = new List<(Expression, Block)>();
        Block? otherwise = null;
        do
        {
            var condition = _expressions.ParseList();
            EndTag();
            branches.Add((condition, ParseBlock(name, "elif", "else", "endif")));
        } while (_reader.TryTakeName("elif"));
        if (_reader.TryTakeName("else"))
        {
            EndTag();
            otherwise = ParseBlock(name, "endif");
        }

        _reader.Take();
        EndTag();
        return new IfStatement(name.Offset, branches, otherwise);
    }

    ForStatement ParseFor(JinjaToken name)
    {
        var target = ParseTarget();
        if (!_reader.TryTakeName("in"))
        {
            throw _reader.Unexpected("'in'");
        }
        var items = _expressions.ParseList(conditional: false);
        var condition = _reader.TryTakeName("if") ? _expressions.Parse() : null;
        EndTag();
        _loops++;
        var body = ParseBlock(name, "else", "endfor");
        _loops--;
        Block? otherwise = null;
        if (_reader.TryTakeName("else"))
        {
            EndTag();
            otherwise = ParseBlock(name, "endfor");
        }

        _reader.Take();
        EndTag();
        return new ForStatement(name.Offset, target, items, condition, body, otherwise);
    }

    Target ParseTarget()
    {
        _reader.CheckDepth();
        var targets = new List<Target>();
        do
        {
            targets.Add(ParseSingleTarget());
        } while (_reader.TryTake(","));
        return targets.Count == 1 ? targets[0] : new ListTarget(targets);
    }

    Target ParseSingleTarget()
    {
        if (_reader.TryTake("("))
        {
            var inner = ParseTarget();
            _reader.Expect(")");
            return inner;
        }

        var name = _reader.Expect(JinjaTokenKind.Name, "a name to assign to").Text;
        return _reader.TryTake(".")
            ? new AttributeTarget(name, _reader.Expect(JinjaTokenKind.Name, "a name after '.'").Text)
            : new NameTarget(name);
    }

    SetStatement ParseSet(JinjaToken name)
    {
        var target = ParseTarget();
        if (_reader.TryTake("="))
        {
            var value = _expressions.ParseList();
            EndTag();
            return new SetStatement(name.Offset, target, value);
        }

        var filters = _expressions.ParseFilterCalls();
        var block = new CaptureExpression(name.Offset, ParseClosed(name, "endset"));
        return new SetStatement(name.Offset, target, filters.Aggregate((Expression)block, (value, filter) => filter.On(value)));
    }

    MacroStatement ParseMacro(JinjaToken name)
    {
        var macro = _reader.Expect(JinjaTokenKind.Name, "the name of the macro").Text;
        var parameters = new List<(string, Expression?)>();
        _reader.Expect("(");
        while (!_reader.TryTake(")"))
        {
            if (parameters.Count > 0)
            {
                _reader.Expect(",");
            }
            parameters.Add(
                (_reader.Expect(JinjaTokenKind.Name, "the name of a parameter").Text, _reader.TryTake("=") ? _expressions.Parse() : null)
            );
        }

        return new MacroStatement(name.Offset, macro, parameters, ParseMacroBody(name));
    }

    /// <summary>A loop around a macro is not a loop of its body.</summary>
    Block ParseMacroBody(JinjaToken name)
    {
        var outer = _loops;
        _loops = 0;
        var body = ParseClosed(name, "endmacro");
        _loops = outer;
        return body;
    }
}
