using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>The place that a parser has come to in its tokens, and how deeply it is nested there.</summary>
sealed class TokenCursor(IReadOnlyList<Token> tokens)
{
    int _depth;

    /// <summary>The index of <see cref="Current"/>.</summary>
    public int Position { get; set; }

    public bool IsAtEnd => Position >= tokens.Count;

    /// <summary>The next token to read; one without text at the end.</summary>
    public Token Current => Peek(0);

    /// <summary>The token so many places ahead, or behind for a negative number; one without text beyond either end.</summary>
    public Token Peek(int distance) =>
        Position + distance is >= 0 and var at && at < tokens.Count ? tokens[at] : new Token(TokenKind.Symbol, "");

    /// <summary>Returns the current token and passes over it.</summary>
    public Token Next()
    {
        var token = Current;
        Position++;
        return token;
    }

    public bool IsAt(string symbol) => Current.Is(symbol);

    /// <summary>Passes over a symbol where it stands here; returns whether it does.</summary>
    public bool Take(string symbol)
    {
        var isThere = IsAt(symbol);
        Position += isThere ? 1 : 0;
        return isThere;
    }

    /// <exception cref="BeyondEngineException">Another token stands here.</exception>
    public void Expect(string symbol)
    {
        if (!Take(symbol))
        {
            throw new BeyondEngineException($"'{symbol}' is missing");
        }
    }

    /// <summary>Passes over plus and minus signs; returns whether they make what follows negative.</summary>
    public bool TakeSigns()
    {
        var isNegative = false;
        while (IsAt("+") || IsAt("-"))
        {
            isNegative ^= Next().Text == "-";
        }

        return isNegative;
    }

    /// <summary>Begins something nested, which ends with <see cref="Leave"/>.</summary>
    /// <exception cref="BeyondEngineException">It is nested too deeply.</exception>
    public void Enter()
    {
        if (++_depth > Limits.Depth)
        {
            throw new BeyondEngineException("nested too deeply");
        }
    }

    public void Leave() => _depth--;
}
