using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Commands;

/// <summary>Number of held-out problems that are wanted: a number beside the others, or <c>true</c> for all of them.</summary>
sealed record HeldOutShare(bool IsAll, int Count) : IParsable<HeldOutShare>
{
    public static HeldOutShare None { get; } = new(false, 0);

    /// <exception cref="FormatException">Neither a number nor true or false.</exception>
    public static HeldOutShare Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var share)
            ? share
            : throw new FormatException($"expected how many held-out problems, or true for all of them, found \"{s}\"");

    public static bool TryParse(string? s, IFormatProvider? provider, out HeldOutShare result)
    {
        var share =
            s is null ? null
            : ScalarBinder.Parse(typeof(bool), s, out _) is bool all ? new HeldOutShare(all, 0)
            : ScalarBinder.Parse(typeof(int), s, out _) is int and >= 0 and var count ? new HeldOutShare(false, count)
            : null;
        result = share ?? None;
        return share is not null;
    }
}
