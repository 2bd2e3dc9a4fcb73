using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using SkiaSharp;
using TraceDistill.Data.Pictures;
using TraceDistill.Data.Problems;
using TraceDistill.Data.Problems.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Pictures;

public sealed class PictureFileTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    [Fact]
    public void Decode_PngOfTheVerySize_GivesItsPixels()
    {
        var picture = new Picture(1, 3, 5, [.. Enumerable.Range(0, 15).Select(i => (byte)(17 * i))]);

        var read = PictureFile.Decode(PictureFile.ToPng(picture), "picture", 1, 3, 5);

        Assert.Equal(picture.Pixels, read.Pixels);
    }

    /// <summary>Averages of areas: two columns of three in one, a third of the middle one on each side.</summary>
    [Fact]
    public void Decode_LargerPicture_IsShrunkByAveragesOfAreas()
    {
        var picture = new Picture(1, 2, 3, [0, 90, 240, 30, 60, 150]);

        var read = PictureFile.Decode(PictureFile.ToPng(picture), "picture", 1, 2, 2);

        // Scaled by 2/3, the two rows are one (4/3 is rounded), and below it there is paper.
        Assert.Equal([Mean(0, 90, 30, 60), Mean(240, 90, 150, 60), 255, 255], read.Pixels);

        static byte Mean(int outer, int middle, int below, int belowMiddle) =>
            (byte)Math.Round((outer + below + (0.5 * (middle + belowMiddle))) / 3);
    }

    [Fact]
    public void Decode_SmallerPicture_IsPaddedWithWhite()
    {
        var picture = new Picture(1, 1, 2, [10, 20]);

        Assert.Equal([10, 20, 255, 255, 255, 255], PictureFile.Decode(PictureFile.ToPng(picture), "picture", 1, 2, 3).Pixels);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Decode_ColoursAndTransparency_AreLumaOrPlanesOnWhite(int channels)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(2, 1, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        bitmap.SetPixel(0, 0, new SKColor(200, 100, 50));
        bitmap.SetPixel(1, 0, new SKColor(0, 0, 0, 0));
        using var png = bitmap.Encode(SKEncodedImageFormat.Png, 100);

        var read = PictureFile.Decode(png.ToArray(), "picture", channels, 1, 2);

        byte gray = (byte)Math.Round((0.299 * 200) + (0.587 * 100) + (0.114 * 50));
        Assert.Equal(channels == 1 ? [gray, 255] : [200, 255, 100, 255, 50, 255], read.Pixels);
    }

    [Fact]
    public void Decode_Jpeg_IsReadWithinItsLoss()
    {
        using var bitmap = new SKBitmap(new SKImageInfo(16, 16, SKColorType.Rgba8888, SKAlphaType.Opaque));
        bitmap.Erase(new SKColor(120, 120, 120));
        using var jpeg = bitmap.Encode(SKEncodedImageFormat.Jpeg, 95);

        Assert.All(PictureFile.Decode(jpeg.ToArray(), "picture", 1, 16, 16).Pixels, pixel => Assert.InRange(pixel, 117, 123));
    }

    /// <summary>2 × 2 pixels of four colours in formats that are written out byte by byte here.</summary>
    [Theory]
    [InlineData("bmp")]
    [InlineData("gif")]
    [InlineData("palette")]
    [InlineData("16 bits")]
    [InlineData("gray of 16 bits")]
    [InlineData("webp")]
    public void Decode_FurtherFormats_GivesTheirPixels(string format)
    {
        // Red, green; blue, white.
        byte[] red = [255, 0, 0, 255],
            green = [0, 255, 0, 255],
            blue = [0, 0, 255, 255];
        byte[] palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
        var file = format switch
        {
            // Rows from the bottom up, blue first, padded to four bytes.
            "bmp" => [.. Bmp(), 255, 0, 0, 255, 255, 255, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0],
            "gif" => Gif(palette),
            "palette" => Png(8, colorType: 3, [0, 0, 1, 0, 2, 3], ("PLTE", palette)),
            "16 bits" => Png(16, colorType: 2, [0, .. Wide(255, 0, 0, 0, 255, 0), 0, .. Wide(0, 0, 255, 255, 255, 255)]),
            "gray of 16 bits" => Png(16, colorType: 0, [0, .. Wide(76, 150), 0, .. Wide(29, 255)]),
            _ => WebP(red, green, blue),
        };

        var read = PictureFile.Decode(file, "picture", format.StartsWith("gray") ? 1 : 3, 2, 2);

        Assert.Equal(format.StartsWith("gray") ? [76, 150, 29, 255] : [.. red, .. green, .. blue], read.Pixels);

        static byte[] Wide(params int[] values) => [.. values.SelectMany(value => new[] { (byte)value, (byte)value })];

        static byte[] Bmp()
        {
            var header = new byte[54];
            (header[0], header[1], header[2], header[10], header[14]) = ((byte)'B', (byte)'M', 70, 54, 40);
            (header[18], header[22], header[26], header[28], header[34]) = (2, 2, 1, 24, 16);
            return header;
        }

        // Codes of three bits: clear, 0, 1, clear, 2, 3, end.
        static byte[] Gif(byte[] palette) =>
            [
                .. "GIF89a"u8,
                .. new byte[] { 2, 0, 2, 0, 0x81, 0, 0 },
                .. palette,
                .. new byte[]
                {
                    (byte)',',
                    0,
                    0,
                    0,
                    0,
                    2,
                    0,
                    2,
                    0,
                    0,
                    2,
                    3,
                    4 | (0 << 3) | ((1 & 3) << 6),
                    (1 >> 2) | (4 << 1) | (2 << 4) | ((3 & 1) << 7),
                    (3 >> 1) | (5 << 2),
                    0,
                    (byte)';',
                },
            ];

        static byte[] Png(byte depth, byte colorType, byte[] rows, params (string Type, byte[] Data)[] further)
        {
            using var packed = new MemoryStream();
            using (var zlib = new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            {
                zlib.Write(rows);
            }

            (string, byte[])[] chunks =
            [
                ("IHDR", [0, 0, 0, 2, 0, 0, 0, 2, depth, colorType, 0, 0, 0]),
                .. further,
                ("IDAT", packed.ToArray()),
                ("IEND", []),
            ];
            return [137, .. "PNG\r\n"u8, 26, 10, .. chunks.SelectMany(chunk => Chunk(chunk.Item1, chunk.Item2))];
        }

        static byte[] Chunk(string type, byte[] data)
        {
            byte[] named = [.. System.Text.Encoding.ASCII.GetBytes(type), .. data],
                length = new byte[4],
                check = new byte[4];
            BinaryPrimitives.WriteInt32BigEndian(length, data.Length);
            BinaryPrimitives.WriteUInt32BigEndian(check, Crc32.HashToUInt32(named));
            return [.. length, .. named, .. check];
        }

        static byte[] WebP(byte[] red, byte[] green, byte[] blue)
        {
            using var bitmap = new SKBitmap(new SKImageInfo(2, 2, SKColorType.Rgba8888, SKAlphaType.Opaque));
            for (var i = 0; i < 4; i++)
            {
                bitmap.SetPixel(i % 2, i / 2, new SKColor(red[i], green[i], blue[i]));
            }

            using var pixels = bitmap.PeekPixels();
            using var data = pixels!.Encode(new SKWebpEncoderOptions(SKWebpEncoderCompression.Lossless, 100));
            return data!.ToArray();
        }
    }

    [Fact]
    public void Read_WhatIsNoPicture_IsRefusedByName()
    {
        var (missing, text, cut) = (_folder.File("none.png"), _folder.File("text.png"), _folder.File("cut.png"));
        File.WriteAllText(text, "no picture");
        File.WriteAllBytes(cut, PictureFile.ToPng(new Picture(1, 40, 40, new byte[1600]))[..40]);

        Assert.Equal($"{missing}: no such file", Refused(missing));
        Assert.Equal($"{text}: cannot be read as a picture; give PNG, JPEG, WebP, GIF or BMP, whole", Refused(text));
        Assert.Equal($"{cut}: cannot be read as a picture; give PNG, JPEG, WebP, GIF or BMP, whole", Refused(cut));

        static string Refused(string path) => Assert.Throws<InvalidInputException>(() => PictureFile.Read(path, 1, 8, 8)).Message;
    }

    /// <summary>Paths are of the file's folder, so that both move together.</summary>
    [Theory]
    [InlineData("problems.jsonl")]
    [InlineData("problems.parquet")]
    public async Task ProblemFile_WithPictures_NamesThemFromItsFolderOn(string name)
    {
        var here = Directory.CreateDirectory(_folder.File("here")).FullName;
        var problem = new Problem
        {
            Id = "a",
            Text = "1+1?",
            Answer = "2",
            Family = "sums",
            Picture = Path.Combine(here, "pictures", "a.png"),
        };
        var cancel = TestContext.Current.CancellationToken;
        await ProblemWriter.WriteAsync(Path.Combine(here, name), [problem, problem with { Id = "b", Picture = null }], cancel);
        Directory.Move(here, _folder.File("there"));

        var read = await ProblemReader.ReadAsync(Path.Combine(_folder.File("there"), name), cancel).ToListAsync(cancel);

        Assert.Equal([Path.Combine(_folder.File("there"), "pictures", "a.png"), null], read.Select(one => one.Picture));
    }

    public void Dispose() => _folder.Dispose();
}
