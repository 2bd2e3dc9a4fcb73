namespace TraceDistill.Data.Problems.Families;

/// <summary>Operands that column addition and subtraction share.</summary>
static class Operands
{
    /// <summary>Two numbers, the larger first: mostly of equal length, two to four digits, the second at times shorter.</summary>
    public static (int Larger, int Smaller) Pair(SolutionWriter write)
    {
        var digits =
            write.Chance(0.45) ? 2
            : write.Chance(0.8) ? 3
            : 4;
        var shorter = write.Chance(0.25) && digits > 2 ? digits - 1 : digits;
        var (a, b) = (OfLength(write, digits), OfLength(write, shorter));
        return (Math.Max(a, b), Math.Min(a, b));
    }

    /// <summary>A number of the given count of digits.</summary>
    public static int OfLength(SolutionWriter write, int digits)
    {
        var low = 1;
        for (var i = 1; i < digits; i++)
        {
            low *= 10;
        }
        return write.Between(low, 10 * low - 1);
    }

    /// <summary>The digits of both numbers side by side, from the ones: <c>ones 8 and 6, tens 7 and 5.</c></summary>
    public static string Aligned(int a, int b)
    {
        var columns = Math.Max(ColumnArithmetic.Digits(a), ColumnArithmetic.Digits(b));
        var pairs = Enumerable
            .Range(0, columns)
            .Select(place =>
                $"{ColumnArithmetic.Place(place)} {ColumnArithmetic.DigitAt(a, place)} and {ColumnArithmetic.DigitAt(b, place)}"
            );
        return string.Join(", ", pairs) + ".";
    }
}
