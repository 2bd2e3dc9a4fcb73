using System.Collections.Frozen;
using System.Globalization;
using TraceDistill.Data.Answers.Algebra;

namespace TraceDistill.Data.Answers.Notation;

/// <summary>A unit of measurement behind a number, or a word for what is counted.</summary>
/// <remarks>
/// The table is our own: of its 165 spellings UnitsNet 5.75.1 (English, all quantities) knew 112 as one unit, 28 as several (m as metre,
/// minute, molarity and Mach; g as gram, gauss and standard gravity) and 25 not at all (gallon, quart, litre, metre, kmh), its factors
/// are doubles, which would make exact fractions rounded ones, and setting up its parser took over two seconds of processor time and 49
/// MB.
/// </remarks>
/// <param name="Factor">Its size in base units of the same dimensions.</param>
/// <param name="Dimensions">Such as <c>L^1*T^-1</c>; null for words that are no known unit.</param>
sealed record Unit(Rational Factor, string? Dimensions)
{
    /// <summary>Any word for what is counted: apples and pears are not told apart.</summary>
    public static Unit Noun { get; } = new(1, null);

    public static Unit Dollar { get; } = new(1, "usd^1");

    /// <summary>Single letters that are read as units behind a plain number.</summary>
    const string Letters = "mgshLlNJWVAKCF";

    /// <summary>Symbols that may as well be products of variables where nothing sets them off.</summary>
    static readonly FrozenSet<string> Doubtful = new[]
    {
        "mg",
        "ms",
        "mm",
        "pt",
        "ha",
        "nm",
        "ps",
        "mN",
        "mV",
        "gal",
        "bar",
        "Pa",
        "kg",
        "cm",
        "km",
        "ml",
        "in",
    }.ToFrozenSet();

    static readonly FrozenDictionary<string, (Rational Factor, string Dimensions)> Known = Table();

    static readonly FrozenDictionary<string, Rational> Prefixes = new Dictionary<string, Rational>
    {
        ["k"] = 1000,
        ["M"] = 1_000_000,
        ["G"] = 1_000_000_000,
        ["T"] = 1_000_000_000_000,
        ["c"] = new(1, 100),
        ["d"] = new(1, 10),
        ["m"] = new(1, 1000),
        ["u"] = new(1, 1_000_000),
        ["μ"] = new(1, 1_000_000),
        ["µ"] = new(1, 1_000_000),
        ["n"] = new(1, 1_000_000_000),
        ["p"] = new(1, 1_000_000_000_000),
    }.ToFrozenDictionary();

    static readonly FrozenSet<string> Prefixed = new[]
    {
        "m",
        "g",
        "s",
        "L",
        "l",
        "N",
        "J",
        "W",
        "V",
        "A",
        "Pa",
        "Hz",
        "eV",
        "mol",
        "F",
        "H",
        "T",
        "C",
        "pc",
        "Wh",
        "cal",
        "K",
    }.ToFrozenSet();

    /// <summary>Short words for things counted; longer ones are told by their vowels.</summary>
    static readonly FrozenSet<string> ShortNouns = new[]
    {
        "egg",
        "eggs",
        "dog",
        "dogs",
        "cat",
        "cats",
        "cup",
        "cups",
        "pen",
        "pens",
        "box",
        "men",
        "man",
        "car",
        "cars",
        "bag",
        "bags",
        "bus",
        "hat",
        "hats",
        "cow",
        "cows",
        "way",
        "ways",
        "toy",
        "toys",
        "boy",
        "boys",
        "kid",
        "kids",
        "pie",
        "pies",
        "cm",
        "km",
        "ft",
        "sq",
    }.ToFrozenSet();

    static readonly FrozenSet<string> NotUnits = new[]
    {
        "not",
        "than",
        "more",
        "less",
        "times",
        "if",
        "for",
        "where",
        "when",
        "remainder",
        "plus",
        "minus",
        "mod",
        "or",
        "and",
        "is",
        "are",
        "no",
        "but",
        "with",
        "past",
        "before",
        "after",
        "ago",
        "until",
        "below",
        "above",
        "over",
        "under",
        "fewer",
        "near",
        "between",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// Returns whether letters that follow a number directly, without a text command, are read as a unit or as a word for what is counted.
    /// </summary>
    public static bool IsLikely(string word, bool isSpaced)
    {
        if (word.Length == 1)
        {
            return Letters.Contains(word[0], StringComparison.Ordinal) || word[0] > '\u2E80';
        }

        return Find(word) is not null || word.Any(letter => letter > '\u00FF') || isSpaced && IsNoun(word);
    }

    /// <summary>Returns whether letters without a text command may as well be variables.</summary>
    public static bool IsDoubtful(string word, bool isSpaced) =>
        word.Length == 1 && word[0] < '\u2E80' || !isSpaced && Doubtful.Contains(word);

    /// <summary>Reads words with exponents and slashes.</summary>
    /// <returns>A known unit or <see cref="Noun"/>; null where the words say more than what is counted.</returns>
    public static Unit? Read(string text)
    {
        var (factor, dimensions, isBelow, power, isKnown) = (
            (Rational)1,
            new SortedDictionary<string, int>(StringComparer.Ordinal),
            false,
            1,
            true
        );
        foreach (
            var piece in text.Replace("/", " / ")
                .Replace("*", " ")
                .Replace(".", " ")
                .Replace("-", " -")
                .Replace("^ -", "^-")
                .Replace("(", " ")
                .Replace(")", " ")
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)
        )
        {
            var parts = piece.TrimStart('-').Split('^');
            var exponent = parts.Length > 1 && int.TryParse(parts[1], out var written) && Math.Abs(written) <= 9 ? written : 1;
            var word = parts[0];
            if (NotUnits.Contains(word))
            {
                return null;
            }

            if (word == "")
            {
                continue;
            }

            switch (word.ToLowerInvariant())
            {
                case "/" or "per":
                    isBelow = true;
                    continue;
                case "square" or "sq" or "squared":
                    power = 2;
                    continue;
                case "cubic" or "cu":
                    power = 3;
                    continue;
                default:
                    break;
            }

            if (Find(word) is { } unit)
            {
                var times = exponent * power * (isBelow ? -1 : 1);
                factor *= unit.Factor.Pow(times);
                foreach (
                    var dimension in unit
                        .Dimensions.Split('*', StringSplitOptions.RemoveEmptyEntries)
                        .Select(dimension => dimension.Split('^'))
                )
                {
                    dimensions[dimension[0]] =
                        dimensions.GetValueOrDefault(dimension[0]) + times * int.Parse(dimension[1], CultureInfo.InvariantCulture);
                }
            }
            else
            {
                isKnown = false;
            }

            power = 1;
        }

        return isKnown && dimensions.Count > 0
            ? new(
                factor,
                string.Join(
                    '*',
                    dimensions.Where(dimension => dimension.Value != 0).Select(dimension => $"{dimension.Key}^{dimension.Value}")
                )
            )
            : Noun;
    }

    static bool IsNoun(string word) =>
        !NotUnits.Contains(word)
        && (
            ShortNouns.Contains(word.ToLowerInvariant())
            || word.Length >= 4 && word.Any(letter => "aeiouyAEIOUY".Contains(letter, StringComparison.Ordinal))
        );

    static (Rational Factor, string Dimensions)? Find(string word)
    {
        if (Known.TryGetValue(word, out var unit) || word.Length > 2 && Known.TryGetValue(word.ToLowerInvariant(), out unit))
        {
            return unit;
        }

        if (word.Length > 1 && Prefixes.TryGetValue(word[..1], out var prefix) && Prefixed.Contains(word[1..]))
        {
            var (factor, dimensions) = Known[word[1..]];
            return (prefix * factor, dimensions);
        }

        return null;
    }

    static FrozenDictionary<string, (Rational, string)> Table()
    {
        var table = new Dictionary<string, (Rational, string)>();
        const string Energy = "M^1*L^2*T^-2";
        Add("L^1", 1, "m meter meters metre metres");
        Add("L^1", new(1, 100), "centimeter centimeters centimetre centimetres");
        Add("L^1", new(1, 1000), "millimeter millimeters millimetre millimetres");
        Add("L^1", 1000, "kilometer kilometers kilometre kilometres");
        Add("L^1", new(254, 10_000), "inch inches in");
        Add("L^1", new(3048, 10_000), "foot feet ft");
        Add("L^1", new(9144, 10_000), "yard yards yd");
        Add("L^1", new(1_609_344, 1000), "mile miles mi");
        Add("L^1", new(1, 10_000_000_000), "Å angstrom angstroms");
        Add("L^1", 149_597_870_700, "AU au");
        Add("L^1", 9_460_730_472_580_800, "ly lightyears lightyear");
        Add("L^1", 30_856_775_814_913_673, "pc parsec parsecs");
        Add("L^2", 10_000, "ha hectare hectares");
        Add("L^2", new(40_468_564_224, 10_000_000), "acre acres");
        Add("L^3", new(1, 1000), "L l liter liters litre litres");
        Add("L^3", new(1, 1_000_000), "milliliter milliliters cc");
        Add("L^3", new(3_785_411_784, 1_000_000_000_000), "gallon gallons gal");
        Add("L^3", new(946_352_946, 1_000_000_000_000), "quart quarts qt");
        Add("L^3", new(473_176_473, 1_000_000_000_000), "pint pints pt");
        Add("T^1", 1, "s sec secs second seconds");
        Add("T^1", 60, "min mins minute minutes");
        Add("T^1", 3600, "h hr hrs hour hours");
        Add("T^1", 86_400, "day days");
        Add("T^1", 604_800, "week weeks");
        Add("Y^1", 12, "year years yr yrs");
        Add("Y^1", 1, "month months");
        Add("M^1", new(1, 1000), "g gram grams");
        Add("M^1", 1, "kilogram kilograms kilo kilos");
        Add("M^1", new(1, 1_000_000), "milligram milligrams");
        Add("M^1", 1000, "tonne tonnes");
        Add("M^1", new(45_359_237, 100_000_000), "lb lbs pound pounds");
        Add("M^1", new(45_359_237, 1_600_000_000), "oz ounce ounces");
        Add("K^1", 1, "K kelvin kelvins");
        Add("C^1", 1, "celsius");
        Add("F^1", 1, "fahrenheit");
        Add("I^1", 1, "A ampere amperes amp amps");
        Add("N^1", 1, "mol mole moles");
        Add("usd^1", 1, "dollar dollars usd USD");
        Add("usd^1", new(1, 100), "cent cents");
        Add("eur^1", 1, "euro euros EUR");
        Add("M^1*L^1*T^-2", 1, "N newton newtons");
        Add("M^1*L^1*T^-2", new(1, 100_000), "dyn dyne dynes");
        Add(Energy, 1, "J joule joules");
        Add(Energy, new(1, 10_000_000), "erg ergs");
        Add(Energy, new(4184, 1000), "cal calorie calories");
        Add(Energy, 3600, "Wh");
        Add(Energy, new Rational(1_602_176_634, 1) / new Rational(10, 1).Pow(28), "eV");
        Add("M^1*L^2*T^-3", 1, "W watt watts");
        Add("M^1*L^-1*T^-2", 1, "Pa pascal pascals");
        Add("M^1*L^-1*T^-2", 100_000, "bar bars");
        Add("M^1*L^-1*T^-2", 101_325, "atm");
        Add("T^-1", 1, "Hz hertz");
        Add("I^1*T^1", 1, "C coulomb coulombs");
        Add("M^1*L^2*T^-3*I^-1", 1, "V volt volts");
        Add("M^1*L^2*T^-3*I^-2", 1, "Ω ohm ohms Omega");
        Add("M^-1*L^-2*T^4*I^2", 1, "F farad farads");
        Add("M^1*L^2*T^-2*I^-2", 1, "H henry henries");
        Add("M^1*T^-2*I^-1", 1, "T tesla teslas");
        Add("L^1*T^-1", new(1_609_344, 3_600_000), "mph");
        Add("L^1*T^-1", new(1000, 3600), "kph kmh");
        Add("angle^1", 1, "degree degrees deg");
        Add("rad^1", 1, "rad radian radians");
        return table.ToFrozenDictionary();

        void Add(string dimensions, Rational factor, string names)
        {
            foreach (var name in names.Split(' '))
            {
                table.Add(name, (factor, dimensions));
            }
        }
    }
}
