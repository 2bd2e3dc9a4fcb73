using System.Text.Encodings.Web;
using System.Text.Json;
using TraceDistill.Core.Storage;
using TraceDistill.Teachers.Collection;
using TraceDistill.Teachers.Dialects;
using TraceDistill.Teachers.Wire;

namespace TraceDistill.Teachers.Batch;

/// <summary>Requests in a file, one JSON object a line, as OpenAI's batch API and <c>vllm run-batch</c> read them; each is called by the id of its trace.</summary>
static class BatchRequestFile
{
    const string Route = "/v1/chat/completions";

    static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <returns>Requests written.</returns>
    /// <exception cref="Core.Errors.InvalidInputException">The file cannot be written, or the disk is full.</exception>
    public static async Task<long> WriteAsync(string path, Dialect dialect, string model, IAsyncEnumerable<PlannedTrace> wanted, CancellationToken cancellationToken)
    {
        var count = 0L;
        try
        {
            await AtomicFile.WriteAsync(path, async stream =>
            {
                await using var json = new Utf8JsonWriter(stream, Plain);
                await foreach (var planned in wanted.WithCancellation(cancellationToken))
                {
                    json.WriteStartObject();
                    json.WriteString("custom_id", planned.Request.Id);
                    json.WriteString("method", "POST");
                    json.WriteString("url", Route);
                    json.WritePropertyName("body");
                    json.WriteRawValue(ChatRequestWriter.Write(dialect, model, planned.Request.Messages, planned.Request.Sampling).Span, skipInputValidation: true);
                    json.WriteEndObject();
                    await json.FlushAsync(cancellationToken);
                    json.Reset();
                    stream.WriteByte((byte)'\n');
                    count++;
                }
            });
        }
        catch (Exception error) when (StorageFailure.Covers(error))
        {
            throw StorageFailure.Describe(path, error);
        }

        return count;
    }
}
