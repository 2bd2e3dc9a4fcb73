using System.Text;

namespace TraceDistill.Data.Problems.Families;

/// <summary>
/// Writes a worked solution sentence by sentence, with wording drawn at random from one small vocabulary that all families share.
/// </summary>
/// <remarks>
/// Choices are weighted, and they are spread over the whole text: that is what gives the next-token distribution of a model trained on
/// such solutions more content than any one sampled solution shows. Every number has a space before it, so that a tokenizer with
/// single-digit tokens sees one style only.
/// </remarks>
sealed class SolutionWriter(Random random)
{
    readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString();

    /// <summary>A number from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public int Between(int low, int high) => random.Next(low, high + 1);

    public bool Chance(double probability) => random.NextDouble() < probability;

    /// <summary>One of n options with weights n, n−1, …, 1: the first is the likeliest.</summary>
    public T Pick<T>(params ReadOnlySpan<T> options)
    {
        var n = options.Length;
        var ticket = random.Next(n * (n + 1) / 2);
        var index = 0;
        for (var weight = n; ticket >= weight; weight--)
        {
            ticket -= weight;
            index++;
        }

        return options[index];
    }

    /// <summary>The two numbers in either order.</summary>
    public (int First, int Second) EitherOrder(int a, int b) => Chance(0.3) ? (b, a) : (a, b);

    /// <summary>The words between an expression and its value, with the spaces around it.</summary>
    public string Is() => Pick("=", " is ", " gives ", " makes ");

    public string So() => Pick("so", "then", "thus", "hence");

    /// <summary>The sum of digits as text, operands in either order.</summary>
    public string Sum(int a, int b)
    {
        var (first, second) = EitherOrder(a, b);
        return $"{first}+{second}{Is()}{a + b}";
    }

    /// <summary>The product of small factors as text, factors in either order.</summary>
    public string Product(int a, int b)
    {
        var (first, second) = EitherOrder(a, b);
        return $"{first}*{second}{Is()}{a * b}";
    }

    public string Difference(int a, int b) => $"{a}-{b}{Is()}{a - b}";

    /// <summary>Appends a sentence or part of one.</summary>
    public void Say(string text)
    {
        if (_text.Length > 0)
        {
            _text.Append(' ');
        }
        _text.Append(text);
    }

    /// <summary>The last sentence of some solutions: the answer once more. In most it follows from what stands before.</summary>
    public void Conclude(string answer)
    {
        if (Chance(0.3))
        {
            Say(Pick($"{So()} the answer is {answer}.", $"the answer is {answer}.", $"we get {answer}.", $"the result is {answer}."));
        }
    }
}
