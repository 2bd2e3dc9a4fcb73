using System.Text.Json;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;

namespace TraceDistill.Benchmarks;

/// <summary>
/// Verdicts on pairs that people labelled: how many outputs with another answer pass for correct, and how many with the right one are
/// missed. A line of the file is <c>{"reference": "5", "output": "So she has 5 apples left.", "equal": true}</c>.
/// </summary>
static class GradingBenchmark
{
    /// <summary>Longest output, in characters, that is printed whole.</summary>
    const int MaxPrinted = 600;

    sealed record Pair(int Line, string Reference, string Output, bool IsEqual)
    {
        public Verdict Verdict { get; } =
            MathVerifier.Instance.Verify(
                Output,
                new Problem
                {
                    Id = $"{Line}",
                    Family = "pairs",
                    Text = "?",
                    Answer = Reference,
                }
            );

        /// <summary>True where the verdict costs something: a wrong answer to train on, or a right one that is not used.</summary>
        public bool IsMiss => IsEqual != (Verdict == Verdict.Correct);
    }

    public static int Run(Arguments arguments)
    {
        if (arguments.Text("pairs") is not { } file)
        {
            Console.Error.WriteLine("grading needs --pairs FILE (JSON lines with reference, output and equal)");
            return 2;
        }

        List<Pair> pairs;
        try
        {
            pairs =
            [
                .. File.ReadLines(file)
                    .Select((line, index) => (Line: line, Number: index + 1))
                    .Where(line => line.Line.Length > 0)
                    .Select(line => Read(line.Line, line.Number)),
            ];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            Console.Error.WriteLine(exception is FormatException ? $"{file}: {exception.Message}" : exception.Message);
            return 2;
        }

        Console.WriteLine($"{"", -10}{"correct", 10}{"incorrect", 10}{"unverified", 12}{"pairs", 8}");
        Print("equal", [.. pairs.Where(pair => pair.IsEqual)]);
        Print("unequal", [.. pairs.Where(pair => !pair.IsEqual)]);
        foreach (var pair in pairs.Where(pair => pair.IsMiss).OrderBy(pair => pair.IsEqual))
        {
            var output = pair.Output.Length > MaxPrinted ? $"… {pair.Output[^MaxPrinted..]}" : pair.Output;
            Console.WriteLine(
                $"\nline {pair.Line}: {(pair.IsEqual ? "equal" : "unequal")}, {pair.Verdict.ToName()}; reference {pair.Reference}"
            );
            Console.WriteLine(output);
        }

        return 0;
    }

    static Pair Read(string line, int number)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            var row = json.RootElement;
            return new Pair(
                number,
                row.GetProperty("reference").GetString()!,
                row.GetProperty("output").GetString()!,
                row.GetProperty("equal").GetBoolean()
            );
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException($"line {number} is no object with reference, output and equal ({exception.Message})", exception);
        }
    }

    static void Print(string name, List<Pair> pairs)
    {
        int Count(Verdict verdict) => pairs.Count(pair => pair.Verdict == verdict);
        Console.WriteLine(
            $"{name, -10}{Count(Verdict.Correct), 10}{Count(Verdict.Incorrect), 10}{Count(Verdict.Unverified), 12}{pairs.Count, 8}"
        );
    }
}
