using SkiaSharp;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Pictures;

/// <summary>Reads pictures of the usual formats (PNG, JPEG, WebP, GIF, BMP) in the size that a model takes.</summary>
/// <remarks>
/// A larger picture is shrunk by averages of areas until it fits, its sides in proportion; a smaller one stays as it is. What is left free
/// at the right and at the bottom is white, as is what shows through. Gray is the luma of ITU-R BT.601. What a camera says about its
/// rotation (EXIF) is not looked at. A PNG file that has the very size gives its very pixels.
/// </remarks>
public static class PictureFile
{
    /// <summary>A file that says it is larger would take 64 MB and more.</summary>
    const long MostPixels = 1 << 24;

    /// <summary>Bytes of a file: above what so many pixels take.</summary>
    const long MostBytes = 1 << 26;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="channels">1 or 3.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    /// <exception cref="InvalidInputException">There is none, or it is no picture.</exception>
    public static Picture Read(string path, int channels, int height, int width)
    {
        InputFile.EnsureReadable(path);
        return new FileInfo(path).Length <= MostBytes
            ? Decode(File.ReadAllBytes(path), path, channels, height, width)
            : throw new InvalidInputException($"{path}: a picture may have {MostBytes >> 20} MiB at most; make it smaller");
    }

    /// <summary>Reads the bytes of a file.</summary>
    /// <param name="file">Its content.</param>
    /// <param name="origin">Names it in errors.</param>
    /// <param name="channels">1 or 3.</param>
    /// <param name="height">Rows of the result.</param>
    /// <param name="width">Columns of the result.</param>
    /// <exception cref="InvalidInputException">It is no picture.</exception>
    public static Picture Decode(byte[] file, string origin, int channels, int height, int width)
    {
        using var data = SKData.CreateCopy(file);
        using var codec = SKCodec.Create(data) ?? throw Unreadable(origin);
        var size = codec.Info.Size;
        if ((long)size.Width * size.Height is > MostPixels or <= 0)
        {
            throw new InvalidInputException(
                $"{origin}: a picture of {size.Width} × {size.Height} pixels; at most {MostPixels:N0} are read, make it smaller"
            );
        }

        using var bitmap = new SKBitmap(new SKImageInfo(size.Width, size.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        return codec.GetPixels(bitmap.Info, bitmap.GetPixels()) == SKCodecResult.Success
            ? Fit(Planes(bitmap.GetPixelSpan(), size.Width, size.Height, channels), height, width)
            : throw Unreadable(origin);
    }

    /// <summary>A gray picture as the bytes of a PNG file.</summary>
    public static byte[] ToPng(Picture picture)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(picture.Width, picture.Height, SKColorType.Gray8, SKAlphaType.Opaque));
        for (var row = 0; row < picture.Height; row++)
        {
            picture.Pixels.AsSpan(row * picture.Width, picture.Width).CopyTo(bitmap.GetPixelSpan()[(row * bitmap.RowBytes)..]);
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Png, quality: 100);
        return data.ToArray();
    }

    static InvalidInputException Unreadable(string origin) =>
        new($"{origin}: cannot be read as a picture; give PNG, JPEG, WebP, GIF or BMP, whole");

    /// <returns>[channels, height, width] on white.</returns>
    static Picture Planes(ReadOnlySpan<byte> rgba, int width, int height, int channels)
    {
        var (count, pixels) = (width * height, new byte[channels * width * height]);
        for (var i = 0; i < count; i++)
        {
            var alpha = rgba[(4 * i) + 3];
            int red = OnWhite(rgba[4 * i], alpha),
                green = OnWhite(rgba[(4 * i) + 1], alpha),
                blue = OnWhite(rgba[(4 * i) + 2], alpha);
            if (channels == 1)
            {
                pixels[i] = (byte)(((299 * red) + (587 * green) + (114 * blue) + 500) / 1000);
            }
            else
            {
                (pixels[i], pixels[count + i], pixels[(2 * count) + i]) = ((byte)red, (byte)green, (byte)blue);
            }
        }

        return new Picture(channels, height, width, pixels);
    }

    static int OnWhite(int value, int alpha) => ((value * alpha) + (Picture.Paper * (255 - alpha)) + 127) / 255;

    static Picture Fit(Picture picture, int height, int width)
    {
        if ((picture.Height, picture.Width) == (height, width))
        {
            return picture;
        }

        var scale = Math.Min(1, Math.Min((double)height / picture.Height, (double)width / picture.Width));
        int rows = Math.Clamp((int)Math.Round(picture.Height * scale), 1, height),
            columns = Math.Clamp((int)Math.Round(picture.Width * scale), 1, width);
        var pixels = new byte[picture.Channels * height * width];
        Array.Fill(pixels, Picture.Paper);
        for (var channel = 0; channel < picture.Channels; channel++)
        {
            for (var row = 0; row < rows; row++)
            {
                for (var column = 0; column < columns; column++)
                {
                    pixels[(((channel * height) + row) * width) + column] = Mean(picture, channel, row, rows, column, columns);
                }
            }
        }

        return new Picture(picture.Channels, height, width, pixels);
    }

    /// <summary>Mean over the area of a pixel of the result, parts of pixels at its edges by their share.</summary>
    static byte Mean(Picture picture, int channel, int row, int rows, int column, int columns)
    {
        double top = (double)row * picture.Height / rows,
            bottom = (double)(row + 1) * picture.Height / rows,
            left = (double)column * picture.Width / columns,
            right = (double)(column + 1) * picture.Width / columns;
        var (sum, area) = (0.0, 0.0);
        for (var y = (int)top; y < Math.Min(picture.Height, Math.Ceiling(bottom)); y++)
        {
            var tall = Math.Min(bottom, y + 1) - Math.Max(top, y);
            for (var x = (int)left; x < Math.Min(picture.Width, Math.Ceiling(right)); x++)
            {
                var share = tall * (Math.Min(right, x + 1) - Math.Max(left, x));
                sum += share * picture.Pixels[(((channel * picture.Height) + y) * picture.Width) + x];
                area += share;
            }
        }

        return (byte)Math.Clamp(Math.Round(sum / area), 0, 255);
    }
}
