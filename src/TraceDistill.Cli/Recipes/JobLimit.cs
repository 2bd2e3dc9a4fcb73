using System.Globalization;
using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Recipes;

/// <summary>Number of stages that may run at the same time: a number, or <c>auto</c>.</summary>
/// <param name="Number">From 1 to <see cref="Most"/>; null for <c>auto</c>, as many as there are cores.</param>
sealed record JobLimit(int? Number) : IParsable<JobLimit>
{
    /// <summary>Most stages that can be asked for.</summary>
    public const int Most = 64;

    const string AutoWord = "auto";

    public static JobLimit Auto { get; } = new((int?)null);

    /// <summary>The number for a machine with so many cores.</summary>
    public int On(int cores) => Number ?? Math.Min(cores, Most);

    /// <exception cref="FormatException">Neither a number in range nor <c>auto</c>.</exception>
    public static JobLimit Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var limit) ? limit : throw new FormatException($"must be from 1 to {Most}, or {AutoWord}; found \"{s}\"");

    public static bool TryParse(string? s, IFormatProvider? provider, out JobLimit result)
    {
        var number = s is null ? null : ScalarBinder.Parse(typeof(int), s, out _) as int?;
        result = new JobLimit(number);
        return number is >= 1 and <= Most || s == AutoWord;
    }

    /// <summary>As it is written in a recipe.</summary>
    public override string ToString() => Number?.ToString(CultureInfo.InvariantCulture) ?? AutoWord;
}
