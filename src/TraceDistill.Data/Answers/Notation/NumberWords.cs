using System.Collections.Frozen;
using System.Numerics;
using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>English names of numbers: <c>twenty-one</c>, <c>two hundred and five</c>, and the scales that stand behind digits.</summary>
static class NumberWords
{
    static readonly FrozenDictionary<string, int> Small = new Dictionary<string, int>
    {
        ["zero"] = 0,
        ["one"] = 1,
        ["two"] = 2,
        ["three"] = 3,
        ["four"] = 4,
        ["five"] = 5,
        ["six"] = 6,
        ["seven"] = 7,
        ["eight"] = 8,
        ["nine"] = 9,
        ["ten"] = 10,
        ["eleven"] = 11,
        ["twelve"] = 12,
        ["thirteen"] = 13,
        ["fourteen"] = 14,
        ["fifteen"] = 15,
        ["sixteen"] = 16,
        ["seventeen"] = 17,
        ["eighteen"] = 18,
        ["nineteen"] = 19,
        ["twenty"] = 20,
        ["thirty"] = 30,
        ["forty"] = 40,
        ["fifty"] = 50,
        ["sixty"] = 60,
        ["seventy"] = 70,
        ["eighty"] = 80,
        ["ninety"] = 90,
    }.ToFrozenDictionary();

    /// <summary>The factor of a word such as <c>million</c>; null for other words.</summary>
    public static BigInteger? Scale(string word) =>
        word.ToLowerInvariant() switch
        {
            "dozen" => 12,
            "hundred" => 100,
            "thousand" => 1_000,
            "million" or "millions" => 1_000_000,
            "billion" or "billions" => 1_000_000_000,
            "trillion" or "trillions" => 1_000_000_000_000,
            _ => null,
        };

    /// <summary>Reads a text that consists of number words alone.</summary>
    public static bool TryRead(string text, out Rational value)
    {
        value = default;
        var words = text.ToLowerInvariant().Split([' ', '-'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length is 0 or > 12)
        {
            return false;
        }

        var (total, group, last, known) = (BigInteger.Zero, BigInteger.Zero, int.MaxValue, false);
        foreach (var word in words)
        {
            if (word == "and" && known)
            {
                continue;
            }

            if (Small.TryGetValue(word, out var number) && (last >= 100 || last >= 20 && number is > 0 and < 10))
            {
                group += number;
                last = number;
            }
            else if (Scale(word) is { } scale && known)
            {
                (total, group) = scale >= 1_000 ? (total + group * scale, 0) : (total, group * scale);
                last = int.MaxValue;
            }
            else
            {
                return false;
            }

            known = true;
        }

        value = total + group;
        return known;
    }
}
