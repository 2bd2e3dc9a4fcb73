namespace TraceDistill.Data.Pictures;

/// <summary>Pixels as a model takes them.</summary>
/// <param name="Channels">1 for gray, 3 for red, green and blue.</param>
/// <param name="Height">Rows.</param>
/// <param name="Width">Columns.</param>
/// <param name="Pixels">[Channels, Height, Width], from 0 (dark) to 255.</param>
public sealed record Picture(int Channels, int Height, int Width, byte[] Pixels)
{
    /// <summary>
    /// The object replacement character of Unicode (U+FFFC), which stands for an object within text: in a conversation it is the place of
    /// the picture.
    /// </summary>
    public const char Place = '\uFFFC';

    /// <summary>The gray of what is no part of a picture that is smaller than it should be: paper.</summary>
    public const byte Paper = 255;
}
