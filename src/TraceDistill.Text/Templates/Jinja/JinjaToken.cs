namespace TraceDistill.Text.Templates.Jinja;

enum JinjaTokenKind
{
    /// <summary>Text outside of tags.</summary>
    Text,

    /// <summary><c>{{</c></summary>
    ExpressionStart,

    /// <summary><c>}}</c></summary>
    ExpressionEnd,

    /// <summary><c>{%</c></summary>
    StatementStart,

    /// <summary><c>%}</c></summary>
    StatementEnd,

    Name,

    String,

    Integer,

    Float,

    Operator,

    /// <summary>The end of the template.</summary>
    End,
}

/// <param name="Kind">Kind of token.</param>
/// <param name="Text">The name, operator or number as written; the value of a string or text.</param>
/// <param name="Offset">Where it starts in the source.</param>
readonly record struct JinjaToken(JinjaTokenKind Kind, string Text, int Offset)
{
    public bool Is(string name) => Kind == JinjaTokenKind.Name && Text == name;

    public bool IsOperator(string op) => Kind == JinjaTokenKind.Operator && Text == op;

    /// <summary>Its name in messages.</summary>
    public string Description =>
        Kind switch
        {
            JinjaTokenKind.Text => "text",
            JinjaTokenKind.ExpressionStart => "'{{'",
            JinjaTokenKind.ExpressionEnd => "'}}'",
            JinjaTokenKind.StatementStart => "'{%'",
            JinjaTokenKind.StatementEnd => "'%}'",
            JinjaTokenKind.String => "a string",
            JinjaTokenKind.End => "the end of the template",
            _ => $"'{Text}'",
        };
}
