using System.Buffers;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Wire;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Teachers.Batch;

/// <summary>
/// Requests in a file, one JSON object a line, as OpenAI's batch API and
/// <c>vllm run-batch</c> read them; each is called by the id of its trace.
/// </summary>
static class BatchRequestFile
{
    const string Route = "/v1/chat/completions";

    /// <param name="path">
    /// The file; what does not fit into it goes into others with <c>-2</c>, <c>-3</c> and so on behind their names.
    /// </param>
    /// <param name="dialect">Dialect that names the server's fields.</param>
    /// <param name="model">The model's name as the endpoint knows it.</param>
    /// <param name="requests">The requests, each with its name.</param>
    /// <param name="bounds">Limits of one file.</param>
    /// <param name="cancellationToken">Ends writing.</param>
    /// <returns>The files written, and the requests in them.</returns>
    /// <exception cref="InvalidInputException">A file cannot be written, or the disk is full.</exception>
    public static async Task<BatchSummary> WriteAsync(
        string path,
        Dialect dialect,
        string model,
        IAsyncEnumerable<(string CustomId, GenerationRequest Request)> requests,
        BatchBounds bounds,
        CancellationToken cancellationToken
    )
    {
        var (files, total) = (new List<string>(), 0L);
        await using var next = requests
            .Select(request => Line(dialect, model, request.CustomId, request.Request))
            .GetAsyncEnumerator(cancellationToken);
        var hasNext = await next.MoveNextAsync();
        do
        {
            var file =
                files.Count == 0
                    ? path
                    : Path.Combine(
                        Path.GetDirectoryName(path)!,
                        $"{Path.GetFileNameWithoutExtension(path)}-{files.Count + 1}{Path.GetExtension(path)}"
                    );
            files.Add(file);
            try
            {
                await AtomicFile.WriteAsync(file, async stream =>
                {
                    var bytes = 0L;
                    for (
                        var count = 0;
                        hasNext && count < bounds.Requests && (count == 0 || bytes + next.Current.Length <= bounds.Bytes);
                        count++
                    )
                    {
                        await stream.WriteAsync(next.Current, cancellationToken);
                        bytes += next.Current.Length;
                        total++;
                        hasNext = await next.MoveNextAsync();
                    }
                });
            }
            catch (Exception error) when (StorageFailure.Covers(error))
            {
                throw StorageFailure.Describe(file, error);
            }
        } while (hasNext);

        return new BatchSummary(files, total);
    }

    static ReadOnlyMemory<byte> Line(Dialect dialect, string model, string customId, GenerationRequest request)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, JsonFile.Plain))
        {
            json.WriteStartObject();
            json.WriteString("custom_id", customId);
            json.WriteString("method", "POST");
            json.WriteString("url", Route);
            json.WritePropertyName("body");
            json.WriteRawValue(ChatRequestWriter.Write(dialect, model, request.Messages, request.Sampling).Span, skipInputValidation: true);
            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenMemory;
    }
}

/// <summary>Bounds of one file of a batch.</summary>
/// <param name="Requests">Most requests.</param>
/// <param name="Bytes">Most bytes.</param>
readonly record struct BatchBounds(int Requests, long Bytes)
{
    /// <summary>OpenAI's: 50,000 requests and 200 MB.</summary>
    public static BatchBounds OpenAI { get; } = new(50_000, 200_000_000);
}
