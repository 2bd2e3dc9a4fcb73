namespace TraceDistill.Data.Answers.Notation;

/// <summary>Kinds of <see cref="Token"/>.</summary>
enum TokenKind
{
    /// <summary>Digits with at most one point; thousands separators are gone. <c>3e8</c> is one with an exponent.</summary>
    Number,

    /// <summary>A run of letters: variables, a unit or a word.</summary>
    Word,

    /// <summary>A symbol of several letters that is one: <c>\alpha</c>, <c>\infty</c>, <c>\vec{v}</c>.</summary>
    Name,

    /// <summary>A function: <c>\sin</c>, <c>sqrt</c>.</summary>
    Function,

    /// <summary>Content of <c>\text{…}</c> and the like.</summary>
    Text,

    /// <summary>A LaTeX command with arguments, without its backslash, or <c>begin NAME</c> and <c>end NAME</c>.</summary>
    Command,

    /// <summary>An operator, a relation, a bracket or a separator, in one spelling each.</summary>
    Symbol,
}

/// <summary>One piece of an answer.</summary>
/// <param name="IsSpaced">True where white space stands before it.</param>
readonly record struct Token(TokenKind Kind, string Text, bool IsSpaced = false)
{
    public bool Is(string symbol) => Kind == TokenKind.Symbol && Text == symbol;

    public bool IsCommand(string name) => Kind == TokenKind.Command && Text == name;
}
