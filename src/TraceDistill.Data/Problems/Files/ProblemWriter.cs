using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Labels;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Data.Problems.Files;

/// <summary>
/// Writes problem files with the fields or columns <c>id</c>, <c>problem</c>, <c>answer</c>, <c>solution</c> (null where there is none),
/// <c>family</c> and, where there are such, <c>picture</c> and <c>spans</c>, as JSON Lines or Parquet by the extension of the path. A
/// conversation of several turns stands as <c>messages</c> in place of <c>problem</c>. A file appears whole or not at all.
/// </summary>
public static class ProblemWriter
{
    /// <exception cref="InvalidInputException">
    /// The extension tells no format, the place cannot be written to, or the disk is full.
    /// </exception>
    /// <exception cref="ExternalFailureException">The disk fails.</exception>
    public static Task WriteAsync(string path, IEnumerable<Problem> problems, CancellationToken cancellationToken = default) =>
        WriteAsync(path, problems.ToAsyncEnumerable(), cancellationToken);

    /// <inheritdoc cref="WriteAsync(string, IEnumerable{Problem}, CancellationToken)"/>
    public static async Task WriteAsync(string path, IAsyncEnumerable<Problem> problems, CancellationToken cancellationToken = default)
    {
        var format = ProblemFormats.OfTarget(path);
        try
        {
            await AtomicFile.WriteAsync(path, stream =>
                format == ProblemFormat.Parquet
                    ? ParquetProblems.WriteAsync(stream, WithRelativePictures(problems, path), cancellationToken)
                    : WriteLinesAsync(stream, WithRelativePictures(problems, path), cancellationToken)
            );
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(path, error);
        }
    }

    /// <summary>So that the folder of both can be moved.</summary>
    static IAsyncEnumerable<Problem> WithRelativePictures(IAsyncEnumerable<Problem> problems, string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        return problems.Select(problem =>
            problem.Picture is { } picture ? problem with { Picture = Path.GetRelativePath(folder, picture).Replace('\\', '/') } : problem
        );
    }

    static async Task WriteLinesAsync(Stream stream, IAsyncEnumerable<Problem> problems, CancellationToken cancellationToken)
    {
        await using var json = new Utf8JsonWriter(stream, JsonFile.Plain);
        await foreach (var problem in problems.WithCancellation(cancellationToken))
        {
            json.WriteStartObject();
            json.WriteString("id", problem.Id);
            if (problem.Earlier.Count == 0)
            {
                json.WriteString("problem", problem.Text);
            }
            else
            {
                WriteConversation(json, problem);
            }

            json.WriteString("answer", problem.Answer.Length == 0 ? null : problem.Answer);
            json.WriteString("solution", problem.Solution);
            json.WriteString("family", problem.Family);
            if (problem.Spans.Count > 0)
            {
                WriteSpans(json, problem.Spans);
            }

            if (problem.Picture is { } picture)
            {
                json.WriteString(ProblemForms.PictureField, picture);
            }

            json.WriteEndObject();
            await json.FlushAsync(cancellationToken);
            json.Reset();
            stream.WriteByte((byte)'\n');
        }
    }

    static void WriteSpans(Utf8JsonWriter json, IReadOnlyList<LabelledSpan> spans)
    {
        json.WriteStartArray(ProblemForms.SpansField);
        foreach (var span in spans)
        {
            json.WriteStartObject();
            json.WriteNumber("start", span.Start);
            json.WriteNumber("end", span.End);
            json.WriteString("label", span.Label);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    static void WriteConversation(Utf8JsonWriter json, Problem problem)
    {
        json.WriteStartArray("messages");
        foreach (var turn in problem.Conversation())
        {
            json.WriteStartObject();
            json.WriteString("role", turn.Role);
            json.WriteString("content", turn.Content);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
