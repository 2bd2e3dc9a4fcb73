using TraceDistill.Data.Pictures;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Pictures;

public class TextDrawingTests
{
    static readonly TextDrawing Plain = new()
    {
        Height = 16,
        Width = 12,
        Jitter = 0,
        Noise = 0,
    };

    /// <summary>Two words on two lines; each character has 5 × 7 dots and one between it and the next.</summary>
    [Fact]
    public void Draw_WithoutJitterAndNoise_HasTheDotsOfTheCharacters()
    {
        var picture = Plain.Draw("+- L", "id", 1);

        string[] rows = [.. picture.Pixels.Chunk(12).Select(row => string.Concat(row.Select(pixel => pixel == 0 ? '#' : '.')))];
        Assert.Equal(
            [
                "............",
                "..#.........",
                "..#.........",
                "#####.#####.",
                "..#.........",
                "..#.........",
                "............",
                "............",
                "#...........",
                "#...........",
                "#...........",
                "#...........",
                "#...........",
                "#...........",
                "#####.......",
                "............",
            ],
            rows
        );
        Assert.All(picture.Pixels, pixel => Assert.True(pixel is 0 or 255));
    }

    [Fact]
    public void Draw_SameSeedIdAndText_GivesTheSamePixels()
    {
        var drawing = new TextDrawing();

        var (first, again) = (drawing.Draw("what is 12+34?", "a", 5), drawing.Draw("what is 12+34?", "a", 5));

        Assert.Equal(first.Pixels, again.Pixels);
        Assert.NotEqual(first.Pixels, drawing.Draw("what is 12+34?", "b", 5).Pixels);
        Assert.NotEqual(first.Pixels, drawing.Draw("what is 12+34?", "a", 6).Pixels);
    }

    /// <summary>Each character as it would stand alone, moved by no more than the jitter.</summary>
    [Fact]
    public void Draw_WithJitter_MovesEachCharacterWithinItsBounds()
    {
        var drawing = new TextDrawing
        {
            Height = 11,
            Width = 11,
            Jitter = 2,
            Noise = 0,
        };
        var places = Enumerable
            .Range(0, 300)
            .Select(i => drawing.Draw("#", $"{i}", 1).Pixels)
            .Select(pixels => (Row: Array.IndexOf(pixels, (byte)0) / 11, Ink: pixels.Count(pixel => pixel == 0)))
            .ToList();

        Assert.Equal([0, 1, 2, 3, 4], places.Select(place => place.Row).Distinct().Order());
        Assert.Single(places.Select(place => place.Ink).Distinct());
    }

    [Fact]
    public void Draw_Noise_StaysWithinItsShareOfTheWayToBlack()
    {
        var pixels = new TextDrawing { Noise = 0.2 }
            .Draw("1+1", "id", 1)
            .Pixels;

        Assert.All(pixels, pixel => Assert.True(pixel is <= 51 or >= 204));
        Assert.True(pixels.Distinct().Count() > 40);
    }

    [Theory]
    [InlineData("11 11 11", "takes 23 × 12 pixels, and a picture has 16 × 12: raise height to 23, or lower scale")]
    [InlineData("longer", "takes 7 × 35 pixels, and a picture has 16 × 12: raise width to 35, or lower scale")]
    [InlineData("3 × 4", "has the character '×', and the built-in font those of ASCII alone; leave the problem out, or")]
    public void Draw_TextThatCannotBeDrawn_IsRefusedWithTheReason(string text, string message)
    {
        var error = Assert.Throws<InvalidInputException>(() => Plain.Draw(text, "x", 1));

        Assert.StartsWith("pictures: ", error.Message);
        Assert.Contains($"problem x {message}", error.Message);
    }
}
