using TraceDistill.Data.Answers.Algebra;
using TraceDistill.Data.Answers.Notation;

namespace TraceDistill.Data.Answers;

/// <summary>Parts and trims runs of tokens with their brackets in view.</summary>
static class TokenSpans
{
    public static void CheckDepth(IReadOnlyList<Token> tokens)
    {
        var depth = 0;
        foreach (var token in tokens)
        {
            depth += Depth(token);
            if (depth > Limits.Depth)
            {
                throw new BeyondEngineException("nested too deeply");
            }
        }
    }

    public static List<Token> Trim(List<Token> tokens)
    {
        while (
            tokens.Count > 0
            && (tokens[^1].Is(".") || tokens[^1].Is(",") || tokens[^1].Is(";") || tokens[^1].Is("and") || tokens[^1].Is("\\\\"))
        )
        {
            tokens.RemoveAt(tokens.Count - 1);
        }

        // "The answer is" within the answer.
        var verb = tokens.FindIndex(token =>
            token.Kind is TokenKind.Text or TokenKind.Word
            && (token.Text is "is" or "are" || token.Text.EndsWith(" is", StringComparison.Ordinal))
        );
        if (
            verb >= 0
            && verb < tokens.Count - 1
            && tokens.Take(verb + 1).All(token => token.Kind is TokenKind.Text or TokenKind.Word)
            && tokens.Take(verb + 1).Any(token => token.Text.Contains("answer", StringComparison.OrdinalIgnoreCase))
        )
        {
            tokens.RemoveRange(0, verb + 1);
        }

        while (
            tokens.Count > 1
            && (
                tokens[0].Is(",")
                || tokens[0].Is("and")
                || tokens[0].Is(":")
                || tokens[0].Is("≈")
                || tokens[0].Kind is TokenKind.Word or TokenKind.Text
                    && tokens[0].Text.ToLowerInvariant() is "about" or "approximately" or "exactly" or "roughly"
            )
        )
        {
            tokens.RemoveAt(0);
        }

        return tokens;
    }

    /// <summary>Parts tokens where no bracket is open.</summary>
    public static List<List<Token>> Split(List<Token> tokens, Func<Token, bool> isSeparator, out List<string> separators)
    {
        var parts = new List<List<Token>> { new() };
        separators = [];
        var depth = 0;
        foreach (var token in tokens)
        {
            depth += Depth(token);
            if (depth == 0 && isSeparator(token))
            {
                separators.Add(token.Text);
                parts.Add([]);
            }
            else
            {
                parts[^1].Add(token);
            }
        }

        return parts;
    }

    public static int Depth(Token token) =>
        token.Kind switch
        {
            TokenKind.Command when token.Text.StartsWith("begin ", StringComparison.Ordinal) => 1,
            TokenKind.Command when token.Text.StartsWith("end ", StringComparison.Ordinal) => -1,
            TokenKind.Symbol when token.Text is "(" or "[" or "{" or "\\{" or "⟨" => 1,
            TokenKind.Symbol when token.Text is ")" or "]" or "}" or "\\}" or "⟩" => -1,
            _ => 0,
        };

    /// <summary>Returns whether the bracket at an index is closed by the last token.</summary>
    public static bool Closes(List<Token> tokens, int at)
    {
        var depth = 0;
        for (var i = at; i < tokens.Count; i++)
        {
            depth += Depth(tokens[i]);
            if (depth == 0)
            {
                return i == tokens.Count - 1;
            }
        }

        return false;
    }

    public static bool Has(List<Token> tokens, string symbol) => tokens.Any(token => token.Is(symbol));

    /// <summary>Tokens without a remark behind the answer: <c>for all x</c>, <c>(since x &gt; 0)</c>.</summary>
    public static List<Token> WithoutQualifier(List<Token> tokens)
    {
        for (var i = 1; i < tokens.Count; i++)
        {
            if (StartsRemark(tokens, i) && tokens.Take(i).Sum(Depth) == 0)
            {
                return tokens[..i];
            }

            if (tokens[i].Is("(") && i + 1 < tokens.Count && StartsRemark(tokens, i + 1) && Closes(tokens, i))
            {
                return tokens[..i];
            }
        }

        return tokens;
    }

    /// <remarks>What is only true under a condition (<c>if</c>, <c>when</c>) is another answer, so those words stay.</remarks>
    static bool StartsRemark(List<Token> tokens, int at)
    {
        if (tokens[at].Kind is not (TokenKind.Text or TokenKind.Word))
        {
            return false;
        }

        var text = tokens[at].Text.ToLowerInvariant();
        text = text == "for" && at + 1 < tokens.Count ? $"for {tokens[at + 1].Text.ToLowerInvariant()}" : text;
        return text.StartsWith("for all", StringComparison.Ordinal)
            || text.StartsWith("for any", StringComparison.Ordinal)
            || text.StartsWith("for every", StringComparison.Ordinal)
            || text.Split(' ')[0] is "since" or "because";
    }
}
