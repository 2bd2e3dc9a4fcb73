using System.Text.RegularExpressions;

namespace TraceDistill.Cli.Tests.Support;

/// <summary>
/// What a terminal shows when it is given this output: a cursor that lines, returns, moves up and erasing lines move about.
/// </summary>
static partial class Screen
{
    public static IReadOnlyList<string> Of(string output)
    {
        var lines = new List<char[]>();
        var (row, column) = (0, 0);
        foreach (Match part in Part().Matches(output))
        {
            switch (part.Value)
            {
                case "\n":
                    (row, column) = (row + 1, 0);
                    break;
                case "\r":
                    column = 0;
                    break;
                case [_, '[', .. var count, 'A']:
                    row = Math.Max(0, row - int.Parse(count));
                    break;
                case [_, '[', '2', 'K']:
                    Line(row).AsSpan().Fill(' ');
                    break;
                case ['\u001b', ..]:
                    break; // Colours, and hiding the cursor.
                default:
                    part.Value.CopyTo(Line(row).AsSpan(column));
                    column += part.Length;
                    break;
            }
        }

        return [.. lines.Select(line => new string(line).TrimEnd())];

        char[] Line(int at)
        {
            while (lines.Count <= at)
            {
                lines.Add([.. Enumerable.Repeat(' ', 400)]);
            }

            return lines[at];
        }
    }

    [GeneratedRegex("\\n|\\r|\u001b\\[[0-9;?]*[A-Za-z]|[^\\n\\r\u001b]+")]
    private static partial Regex Part();
}
