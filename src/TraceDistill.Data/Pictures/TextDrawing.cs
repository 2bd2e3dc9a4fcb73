using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.IO.Hashing;
using System.Text;
using TraceDistill.Data.Determinism;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Pictures;

/// <summary>
/// Draws texts as gray pictures, dark on white in a font of dots that is the same everywhere: the same settings, seed, id and text give
/// the same pixels on every machine.
/// </summary>
public sealed record TextDrawing : IParsable<TextDrawing>
{
    /// <summary>Dots between two characters, and between two lines.</summary>
    const int Gap = 1;

    /// <value>30.</value>
    [Range(1, 4096, ErrorMessage = "must be from 1 to 4096")]
    [Description("Rows of pixels of a picture")]
    public int Height { get; init; } = 30;

    /// <value>126.</value>
    [Range(1, 4096, ErrorMessage = "must be from 1 to 4096")]
    [Description("Columns of pixels of a picture")]
    public int Width { get; init; } = 126;

    /// <value>1: a character is of 5 × 7 pixels.</value>
    [Range(1, 64, ErrorMessage = "must be from 1 to 64")]
    [Description("Pixels along each side of a dot; a character has 5 × 7 dots")]
    public int Scale { get; init; } = 1;

    /// <value>1.</value>
    [Range(0, 256, ErrorMessage = "must be from 0 to 256")]
    [Description("Pixels by which each character is moved at most in each direction, drawn at random")]
    public int Jitter { get; init; } = 1;

    /// <value>0.1.</value>
    [Range(0.0, 1.0, ErrorMessage = "must be from 0 to 1")]
    [Description("Noise of each pixel, as a share of the way from black to white: uniform, to both sides")]
    public double Noise { get; init; } = 0.1;

    /// <summary>Columns from one character to the next.</summary>
    int Advance => (Scale * (DotFont.Width + Gap)) + Jitter;

    /// <summary>Rows from one line to the next.</summary>
    int Pitch => (Scale * (DotFont.Height + Gap)) + (2 * Jitter);

    /// <summary>Draws a text, its words on as many lines as they need.</summary>
    /// <param name="text">Of printable characters of ASCII.</param>
    /// <param name="id">Names it in errors, and decides with the seed what is random.</param>
    /// <param name="seed">Of all pictures.</param>
    /// <exception cref="InvalidInputException">It does not fit, or has another character.</exception>
    public Picture Draw(string text, string id, long seed)
    {
        var lines = Lines(text, id);
        var random = new SplitMix64((ulong)seed ^ XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(id)));
        var ink = new bool[Height * Width];
        foreach (var (row, line) in lines.Index())
        {
            foreach (var (column, character) in line.Index())
            {
                var (down, right) = (Shift(ref random), Shift(ref random));
                Draw(ink, character, Jitter + (row * Pitch) + down, (column * Advance) + Jitter + right);
            }
        }

        var pixels = new byte[ink.Length];
        for (var i = 0; i < ink.Length; i++)
        {
            pixels[i] = Gray(ink[i], ref random);
        }

        return new Picture(1, Height, Width, pixels);
    }

    /// <inheritdoc/>
    public static TextDrawing Parse(string s, IFormatProvider? provider) =>
        TryParse(s, provider, out var result)
            ? result
            : throw new FormatException($"expected true, or a map with height, width, scale, jitter and noise, found \"{s}\"");

    /// <inheritdoc/>
    public static bool TryParse(string? s, IFormatProvider? provider, out TextDrawing result)
    {
        result = new TextDrawing();
        return string.Equals(s, "true", StringComparison.OrdinalIgnoreCase);
    }

    List<string> Lines(string text, string id)
    {
        if (text.Where(character => !char.IsWhiteSpace(character) && !DotFont.Has(character)).Cast<char?>().FirstOrDefault() is { } odd)
        {
            throw new InvalidInputException(
                $"pictures: problem {id} has the character '{odd}', and the built-in font those of ASCII alone; leave the problem out, "
                    + "or draw its picture yourself and name it in the field picture of the problem file"
            );
        }

        // The last character needs no gap behind it.
        var (most, rows) = (((Width - (Scale * DotFont.Width) - (2 * Jitter)) / Advance) + 1, new List<string>());
        foreach (var word in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            if (rows.Count > 0 && rows[^1].Length + 1 + word.Length <= most)
            {
                rows[^1] += " " + word;
            }
            else
            {
                rows.Add(word);
            }
        }

        var longest = rows.Max(row => row.Length);
        var (height, width) = (
            ((rows.Count - 1) * Pitch) + (Scale * DotFont.Height) + (2 * Jitter),
            ((longest - 1) * Advance) + (Scale * DotFont.Width) + (2 * Jitter)
        );
        return height <= Height && width <= Width
            ? rows
            : throw new InvalidInputException(
                $"pictures: the text of problem {id} takes {height} × {Math.Max(width, Width)} pixels, and a picture has "
                    + $"{Height} × {Width}: "
                    + $"{(width > Width ? $"raise width to {width}" : $"raise height to {height}")}, or lower scale"
            );
    }

    void Draw(bool[] ink, char character, int top, int left)
    {
        for (var row = 0; row < Scale * DotFont.Height; row++)
        {
            for (var column = 0; column < Scale * DotFont.Width; column++)
            {
                ink[((top + row) * Width) + left + column] |= DotFont.IsSet(character, row / Scale, column / Scale);
            }
        }
    }

    int Shift(ref SplitMix64 random) => random.Next((2 * Jitter) + 1) - Jitter;

    byte Gray(bool isDark, ref SplitMix64 random)
    {
        var drawn = ((random.Next() >> 11) / (double)(1UL << 52)) - 1; // 53 bits, as doubles have them, from −1 to 1
        return (byte)Math.Clamp(Math.Round((isDark ? 0 : Picture.Paper) + (Noise * Picture.Paper * drawn)), 0, 255);
    }
}
