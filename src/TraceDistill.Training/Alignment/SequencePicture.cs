using TraceDistill.Data.Pictures;
using TraceDistill.Models.Configuration;

namespace TraceDistill.Training.Alignment;

/// <summary>The picture in a sequence. It is read when a batch needs it, so that no more than a few are in memory.</summary>
/// <param name="Path">Its file.</param>
/// <param name="Shape">The size that the student looks at.</param>
/// <param name="Pixels">What was read; null for a picture that is still to be read.</param>
public sealed record SequencePicture(string Path, PictureEncoderSettings Shape, Picture? Pixels = null)
{
    /// <summary>The pixels in the student's size.</summary>
    /// <exception cref="Text.Errors.InvalidInputException">The file is missing, or no picture.</exception>
    public Picture Read() => Pixels ?? PictureFile.Read(Path, Shape.Channels, Shape.Height, Shape.Width);
}
