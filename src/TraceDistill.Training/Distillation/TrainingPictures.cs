using TraceDistill.Data.Problems.Files;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;

namespace TraceDistill.Training.Distillation;

/// <summary>Pictures that a student looks at while it learns.</summary>
static class TrainingPictures
{
    /// <summary>Reads where the pictures of the problems are.</summary>
    /// <param name="options">Name the problem files.</param>
    /// <param name="encoder">The student's.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="InvalidInputException">There are traces, and no file with the pictures of their problems.</exception>
    public static async Task<ProblemPictures> ReadAsync(
        TrainOptions options,
        PictureEncoderSettings encoder,
        CancellationToken cancellationToken
    )
    {
        if (options.Pictures.Count == 0 && options.TracePaths().Any())
        {
            throw new InvalidInputException(
                "pictures: the student looks at pictures, and traces have none; name the problem file that has those of their problems"
            );
        }

        var pictures = new ProblemPictures(encoder, string.Join(", ", options.Pictures.DefaultIfEmpty(options.Problems ?? "")));
        foreach (var file in options.Pictures)
        {
            await foreach (var problem in ProblemReader.ReadAsync(file, options, cancellationToken: cancellationToken))
            {
                pictures.Add(problem);
            }
        }

        return pictures;
    }

    /// <summary>Refuses models that would read in a sequence what the student does not.</summary>
    /// <param name="encoder">The student's; null for one that reads text.</param>
    /// <param name="others">Models that are given the student's sequences, and the setting that names them.</param>
    /// <exception cref="InvalidInputException">One of them is of another kind.</exception>
    public static void EnsureSame(PictureEncoderSettings? encoder, IEnumerable<(ModelConfiguration Model, string Setting)> others)
    {
        foreach (var (model, setting) in others.Where(other => Input(other.Model.Pictures) != Input(encoder)))
        {
            throw new InvalidInputException(
                encoder is null
                    ? $"{setting}: the model looks at pictures, and is given text"
                    : $"{setting}: the model does not look at {encoder.Height} × {encoder.Width} pictures of {encoder.Patches} vectors, "
                        + "as the student does; for a teacher that reads the text name its prompt with teacher_prompt, or take its stored "
                        + "soft targets, of generate or score"
            );
        }
    }

    static (int, int, int, int)? Input(PictureEncoderSettings? encoder) =>
        encoder is null ? null : (encoder.Height, encoder.Width, encoder.Channels, encoder.Patches);
}
