namespace TraceDistill.Data.Problems.Families;

/// <summary>Sums and products modulo a digit: each operand is reduced first, so that all later numbers are small.</summary>
sealed class Modular : IProblemFamily
{
    public string Name => "modular";

    public ProblemDraft Draw(Random random)
    {
        var write = new SolutionWriter(random);
        var modulus = write.Between(4, 9);
        var product = write.Chance(0.4);
        var operands = new int[product || write.Chance(0.7) ? 2 : 3];
        for (var i = 0; i < operands.Length; i++)
        {
            operands[i] = write.Between(10, 7 * modulus - 1);
        }
        var sign = product ? "*" : "+";
        var expression = string.Join(sign, operands);
        var text = write.Pick(
            $"what is ({expression}) mod {modulus}?",
            $"compute ({expression}) mod {modulus}.",
            $"find the remainder of {expression} if we divide by {modulus}.",
            $"work out ({expression}) mod {modulus}."
        );
        write.Say(write.Pick($"we work mod {modulus}.", $"we need each number mod {modulus}.", $"first take each number mod {modulus}."));
        var value = Solve(write, operands, product, modulus);
        write.Conclude($"{value}");
        return new ProblemDraft($"{modulus} {sign} {string.Join(' ', operands.Order())}", text, write.ToString(), $"{value}");
    }

    static int Solve(SolutionWriter write, int[] operands, bool product, int modulus)
    {
        var order = write.Chance(0.3) ? operands.Reverse().ToArray() : operands;
        var value = 0;
        for (var i = 0; i < order.Length; i++)
        {
            var rest = Reduce(write, order[i], modulus);
            if (i == 0)
            {
                value = rest;
                continue;
            }

            var combined = product ? value * rest : value + rest;
            write.Say($"{write.Pick("now", "next", "then")} {(product ? write.Product(value, rest) : write.Sum(value, rest))}.");
            value = combined < modulus ? combined : Reduce(write, combined, modulus);
        }

        return value;
    }

    /// <summary>47 mod 7 by the largest multiple of 7 that fits: 6 · 7 = 42, 47 − 42 = 5.</summary>
    static int Reduce(SolutionWriter write, int number, int modulus)
    {
        var times = number / modulus;
        write.Say(
            $"{write.Product(times, modulus)}, {write.Difference(number, times * modulus)}, "
                + $"{write.So()} {number} mod {modulus}{write.Is()}{number % modulus}."
        );
        return number % modulus;
    }
}
