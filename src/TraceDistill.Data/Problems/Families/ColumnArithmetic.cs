namespace TraceDistill.Data.Problems.Families;

/// <summary>
/// Schoolbook arithmetic, column by column from the ones, with explicit carries: each step copies digits or applies one single-digit fact.
/// </summary>
/// <remarks>
/// Every routine ends with a sentence that states the whole operation and its result. All families use these routines, so a model that
/// has learnt them in one family has them in the others.
/// </remarks>
static class ColumnArithmetic
{
    static readonly string[] Places = ["ones", "tens", "hundreds", "thousands"];

    /// <summary>Writes <paramref name="a"/> + <paramref name="b"/> and returns it.</summary>
    public static int Add(SolutionWriter write, int a, int b)
    {
        var (top, bottom) = write.EitherOrder(a, b);
        var labelled = write.Chance(0.7);
        var columns = Math.Max(Digits(a), Digits(b));
        var carry = 0;
        var written = "";
        for (var place = 0; place < columns; place++)
        {
            var (first, second) = (DigitAt(top, place), DigitAt(bottom, place));
            var sum = first + second + carry;
            var fact = carry == 0 ? $"{first}+{second}" : $"{first}+{second}+{carry}";
            var step = $"{Label(labelled, place)}{fact}{write.Is()}{sum}";
            var last = place == columns - 1;
            (written, carry) = last ? ($"{sum}{written}", 0) : ($"{sum % 10}{written}", sum / 10);
            write.Say(Column(write, step, last ? sum : sum % 10, carry, last ? "" : written));
        }

        write.Say($"{write.So()} {top}+{bottom}{write.Is()}{a + b}.");
        return a + b;
    }

    /// <summary>Writes <paramref name="a"/> − <paramref name="b"/> (not negative) and returns it.</summary>
    /// <remarks>A borrow is carried to the next lower digit instead, so that zeros in the upper number need no chain of borrows.</remarks>
    public static int Subtract(SolutionWriter write, int a, int b)
    {
        var labelled = write.Chance(0.7);
        var compared = write.Chance(0.3);
        var columns = Digits(a);
        var carry = 0;
        var written = "";
        for (var place = 0; place < columns; place++)
        {
            var (upper, lower) = (DigitAt(a, place), DigitAt(b, place));
            var step = Label(labelled, place);
            if (carry == 1)
            {
                step += $"{write.Sum(lower, 1)}, ";
            }
            lower += carry;
            carry = upper < lower ? 1 : 0;
            if (carry == 1 && compared)
            {
                step += $"{upper}<{lower}, ";
            }
            upper += 10 * carry;
            step += write.Difference(upper, lower);
            written = $"{upper - lower}{written}";
            write.Say(Column(write, step, upper - lower, carry, place == columns - 1 ? "" : written));
        }

        write.Say($"{write.So()} {write.Difference(a, b)}.");
        return a - b;
    }

    /// <summary>Writes <paramref name="a"/> × <paramref name="digit"/> and returns it.</summary>
    public static int MultiplyByDigit(SolutionWriter write, int a, int digit)
    {
        var labelled = write.Chance(0.7);
        var columns = Digits(a);
        var carry = 0;
        var written = "";
        for (var place = 0; place < columns; place++)
        {
            var product = DigitAt(a, place) * digit;
            var step = Label(labelled, place) + write.Product(DigitAt(a, place), digit);
            if (carry > 0)
            {
                step += $", {product}+{carry}{write.Is()}{product + carry}";
            }
            product += carry;
            var last = place == columns - 1;
            (written, carry) = last ? ($"{product}{written}", 0) : ($"{product % 10}{written}", product / 10);
            write.Say(Column(write, step, last ? product : product % 10, carry, last ? "" : written));
        }

        write.Say($"{write.So()} {a}*{digit}{write.Is()}{a * digit}.");
        return a * digit;
    }

    /// <summary>Writes the long division of <paramref name="a"/> by a digit and returns quotient and remainder.</summary>
    public static (int Quotient, int Remainder) Divide(SolutionWriter write, int a, int digit)
    {
        var rest = 0;
        var quotient = "";
        for (var place = Digits(a) - 1; place >= 0; place--)
        {
            var next = DigitAt(a, place);
            rest = 10 * rest + next;
            if (quotient == "" && rest < digit && place > 0)
            {
                write.Say($"{rest}<{digit}, take {10 * rest + DigitAt(a, place - 1)}.");
                continue;
            }

            if (quotient != "")
            {
                write.Say($"{write.Pick("bring down", "take down")} {next}, {write.Pick("now", "this makes")} {rest}.");
            }
            var times = rest / digit;
            var step = $"{write.Product(times, digit)}, {write.Difference(rest, times * digit)}";
            rest -= times * digit;
            quotient += times;
            write.Say(Column(write, step, times, 0, quotient.Length > 1 && place > 0 ? quotient : ""));
        }

        write.Say($"{write.So()} {a}/{digit}{write.Is()}{quotient}{(rest == 0 ? "" : $" remainder {rest}")}.");
        return (a / digit, rest);
    }

    public static int Digits(int number) => number.ToString().Length;

    /// <summary>The digit of <paramref name="number"/> at a place (0 for the ones); 0 beyond its first digit.</summary>
    public static int DigitAt(int number, int place)
    {
        for (; place > 0; place--)
        {
            number /= 10;
        }
        return number % 10;
    }

    public static string Place(int place) => Places[place];

    static string Label(bool labelled, int place) => labelled ? $"{Places[place]}: " : "";

    static string Column(SolutionWriter write, string step, int digit, int carry, string written)
    {
        var verb = write.Pick("write", "put");
        var text =
            carry == 0
                ? $"{step}, {verb} {digit}"
                : step + write.Pick($", {verb} {digit} carry {carry}", $", carry {carry} {verb} {digit}");
        return written.Length > 1 ? $"{text}, {write.Pick("so far", "we have")} {written}." : $"{text}.";
    }
}
