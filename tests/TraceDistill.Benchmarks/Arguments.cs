using System.Globalization;

namespace TraceDistill.Benchmarks;

/// <summary><c>--name value</c> pairs.</summary>
sealed class Arguments(string[] options)
{
    public string[] All => options;

    public string? Text(string name) =>
        Array.IndexOf(options, $"--{name}") is >= 0 and var at && at + 1 < options.Length ? options[at + 1] : null;

    public int Number(string name, int otherwise) => Text(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
