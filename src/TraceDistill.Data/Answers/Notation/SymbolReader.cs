using System.Collections.Frozen;
using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>Reads variables and constants with their indices and primes, and letters side by side as a product of variables.</summary>
sealed class SymbolReader(ExpressionParser parser, TokenCursor tokens)
{
    /// <summary>Most letters that are a product.</summary>
    const int MaxLetters = 6;

    /// <summary>
    /// Most letters in any order that are a product; longer ones are words unless they stand in the order of the alphabet.
    /// </summary>
    const int MaxUnordered = 3;

    /// <summary>Letters that a bracket makes functions.</summary>
    const string Functions = "fghFGHP";

    // Commands that are no symbols of algebra.
    static readonly FrozenSet<string> NotUnderstood = new[]
    {
        "ldots",
        "emptyset",
        "rightarrow",
        "to",
        "Rightarrow",
        "implies",
        "iff",
        "forall",
        "exists",
        "sum",
        "int",
        "prod",
        "lim",
        "angle",
        "triangle",
        "partial",
        "nabla",
        "because",
        "therefore",
        "cdotp",
        "square",
        "Box",
    }.ToFrozenSet();

    /// <summary>A product of variables; the last of them may have an index, or be a function of a bracket.</summary>
    public Expression Letters()
    {
        var letters = tokens.Next().Text;
        // Capitals side by side are points or a code, whose order counts.
        if (
            letters.Length > MaxLetters
            || letters.Any(letter => letter > '\u024F')
            || letters.Length > 2 && letters.All(char.IsAsciiLetterUpper)
            || letters.Length > MaxUnordered && !letters.Order().SequenceEqual(letters)
        )
        {
            throw new BeyondEngineException("words in an expression");
        }

        if (letters.Length == 1 && Functions.Contains(letters[0], StringComparison.Ordinal) && tokens.IsAt("("))
        {
            return new FunctionExpression($"call {letters}", parser.List("(", ")"));
        }

        var last = Named(letters[^1..]);
        if (letters.Length == 1)
        {
            return last;
        }

        // A power behind letters is that of the last.
        return new ProductExpression([
            .. letters[..^1].Select(letter => (Expression)new SymbolExpression(letter.ToString())),
            parser.Postfix(last),
        ]);
    }

    /// <summary>One symbol that the current token names.</summary>
    public SymbolExpression Symbol() => Named(tokens.Next().Text);

    SymbolExpression Named(string name)
    {
        if (NotUnderstood.Contains(name) || name.StartsWith("mathbb", StringComparison.Ordinal))
        {
            throw new BeyondEngineException($"\\{name} is not understood");
        }

        var full = name;
        for (var times = 0; times < 3; times++)
        {
            if (tokens.Take("_"))
            {
                full += "_" + Index();
            }
            else if (tokens.Take("'"))
            {
                full += "'";
            }
        }

        return new SymbolExpression(full);
    }

    string Index()
    {
        if (!tokens.Take("{"))
        {
            return tokens.Current.Kind != TokenKind.Symbol ? tokens.Next().Text : throw new BeyondEngineException("an index is missing");
        }

        var text = "";
        while (!tokens.IsAtEnd && !tokens.IsAt("}"))
        {
            text += tokens.Next().Text;
        }

        tokens.Expect("}");
        return text;
    }
}
