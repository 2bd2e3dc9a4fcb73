using System.Runtime.CompilerServices;
using TraceDistill.Text.Errors;

namespace TraceDistill.Text.Templates.Jinja;

/// <summary>Steps through the tokens of a template.</summary>
sealed class TokenReader(JinjaSource source, IReadOnlyList<JinjaToken> tokens)
{
    int _next;

    public JinjaToken Current => tokens[_next];

    public JinjaToken Ahead => tokens[Math.Min(_next + 1, tokens.Count - 1)];

    public JinjaToken Take() => Current.Kind == JinjaTokenKind.End ? Current : tokens[_next++];

    public bool TryTake(string op)
    {
        if (!Current.IsOperator(op))
        {
            return false;
        }
        _next++;
        return true;
    }

    public bool TryTakeName(string name)
    {
        if (!Current.Is(name))
        {
            return false;
        }
        _next++;
        return true;
    }

    public JinjaToken Expect(JinjaTokenKind kind, string expected) => Current.Kind == kind ? Take() : throw Unexpected(expected);

    public void Expect(string op)
    {
        if (!TryTake(op))
        {
            throw Unexpected($"'{op}'");
        }
    }

    /// <summary>Refuses nesting that would exhaust the stack.</summary>
    public void CheckDepth()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Error(Current.Offset, "the template is nested too deeply");
        }
    }

    public InvalidInputException Unexpected(string expected) => Error(Current.Offset, $"expected {expected}, found {Current.Description}");

    public InvalidInputException Error(int offset, string message) => source.Error(offset, message);
}
