namespace TraceDistill.Cli.Reporting.Charts;

/// <summary>One axis of a chart: the range it shows, its ticks and its title.</summary>
sealed record Axis(double Low, double High, IReadOnlyList<(double Position, string Label)> Ticks, string Title)
{
    static readonly double[] RoundFactors = [1, 2, 2.5, 5, 10];
    static readonly double[] LogarithmicFactors = [1, 2, 5];

    /// <summary>True where positions are decimal logarithms of values.</summary>
    public bool IsLogarithmic { get; private init; }

    /// <summary>True where positions are the places of names.</summary>
    public bool IsCategories { get; private init; }

    /// <summary>The position of a value.</summary>
    public double Place(double value) => IsLogarithmic ? Math.Log10(value) : value;

    /// <summary>Round ticks over a range that is widened to whole steps.</summary>
    /// <param name="intervals">Steps wished for; the nearest number that gives steps of 1, 2, 2.5 or 5 · 10ⁿ is taken.</param>
    public static Axis Linear(double low, double high, string title, Func<double, string>? label = null, int intervals = 5) =>
        Stepped(low, high, RoundStep((high > low ? high - low : 1) / intervals), title, label);

    /// <summary>Whole numbers from 0.</summary>
    public static Axis Counts(int high, string title)
    {
        var step = Math.Max(1, RoundStep(high / 5.0));
        return Stepped(0, high, step == 2.5 ? 2 : step, title);
    }

    /// <summary>A logarithmic axis with ticks at 1, 2 and 5 · 10ⁿ; both ends above zero.</summary>
    public static Axis Logarithmic(double low, double high, string title)
    {
        var ticks = Enumerable
            .Range((int)Math.Floor(Math.Log10(low)) - 1, (int)Math.Ceiling(Math.Log10(high / low)) + 4)
            .SelectMany(power => LogarithmicFactors.Select(factor => factor * Math.Pow(10, power)))
            .Where(value => value >= low * 0.999 && value <= high * 1.001)
            .Select(value => (Math.Log10(value), $"{value:0.######}"));
        return new Axis(Math.Log10(low), Math.Log10(high), [.. ticks], title) { IsLogarithmic = true };
    }

    /// <summary>Names at 0, 1, 2, …; on a vertical axis the first stands at the top.</summary>
    public static Axis Categories(IReadOnlyList<string> names, string title = "", bool downwards = false)
    {
        var ticks = names.Select((name, index) => ((double)index, name)).ToList();
        var (low, high) = downwards ? (names.Count - 0.5, -0.5) : (-0.5, names.Count - 0.5);
        return new Axis(low, high, ticks, title) { IsCategories = true };
    }

    /// <summary>Shares from 0 to 100 %, or a part of that which holds all <paramref name="values"/>.</summary>
    public static Axis Share(IEnumerable<double> values, string title) =>
        Linear(Math.Max(0, values.DefaultIfEmpty(0).Min()), 1, title, value => $"{100 * value:0.#}%");

    /// <summary>Where a value stands between two pixels.</summary>
    public double Pixel(double value, double low, double high) => low + (value - Low) / (High - Low) * (high - low);

    static Axis Stepped(double low, double high, double step, string title, Func<double, string>? label = null)
    {
        var (first, last) = ((long)Math.Floor(low / step + 1e-9), (long)Math.Ceiling(high / step - 1e-9));
        last = Math.Max(last, first + 1);
        var format = label ?? (value => value.ToString($"#,0.{new string('#', Math.Max(0, 1 - (int)Math.Floor(Math.Log10(step))))}"));
        return new Axis(
            first * step,
            last * step,
            [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => ((first + i) * step, format((first + i) * step)))],
            title
        );
    }

    static double RoundStep(double step)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(step)));
        return power * RoundFactors.MinBy(factor => Math.Abs(Math.Log(factor * power / step)));
    }
}
