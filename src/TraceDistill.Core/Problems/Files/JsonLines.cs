using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using TraceDistill.Core.Concurrency;
using TraceDistill.Core.Errors;

namespace TraceDistill.Core.Problems.Files;

/// <summary>Problem records in JSON Lines: UTF-8, one object a line, split at <c>\n</c> only; blank lines are passed over.</summary>
static class JsonLines
{
    /// <param name="path">The file.</param>
    /// <param name="isWanted">Which records, counted from 0, are parsed; the others are passed over unread.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static IAsyncEnumerable<ProblemRow> ReadAsync(string path, Predicate<int> isWanted, CancellationToken cancellationToken) =>
        RecordsAsync(path, isWanted, cancellationToken).MapInOrderAsync(record => Parse(record.Where, record.Line), cancellationToken);

    static async IAsyncEnumerable<(RowPlace Where, byte[] Line)> RecordsAsync(string path, Predicate<int> isWanted, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.Asynchronous);
        var (number, record) = (0, 0);
        await foreach (var line in LinesAsync(stream, cancellationToken))
        {
            number++;
            var content = number == 1 && line.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? line[Encoding.UTF8.Preamble.Length..] : line;
            if (content.AsSpan().ContainsAnyExcept(" \t\r"u8) && isWanted(record++))
                yield return (new RowPlace(path, "line", number), content);
        }
    }

    static async IAsyncEnumerable<byte[]> LinesAsync(Stream stream, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pipe = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 1 << 16, leaveOpen: true));
        while (true)
        {
            var read = await pipe.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            while (buffer.PositionOf((byte)'\n') is { } end)
            {
                yield return buffer.Slice(0, end).ToArray();
                buffer = buffer.Slice(buffer.GetPosition(1, end));
            }

            if (read.IsCompleted)
            {
                if (!buffer.IsEmpty)
                    yield return buffer.ToArray();
                yield break;
            }

            pipe.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    static ProblemRow Parse(RowPlace where, byte[] line)
    {
        if (!Utf8.IsValid(line))
            throw new InvalidInputException($"{where}: not valid UTF-8 (byte {FirstInvalid(line) + 1} of the line); save the file as UTF-8");
        try
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidInputException($"{where}: a JSON {Kind(document.RootElement)} where an object is expected; each line holds one {{...}}");
            return new ProblemRow(where, Fields(where, document.RootElement));
        }
        catch (JsonException error)
        {
            var column = ((error.BytePositionInLine ?? 0) + 1).ToString(CultureInfo.InvariantCulture);
            throw new InvalidInputException($"{where}: malformed JSON at byte {column}; each line holds one whole object", error);
        }
    }

    static Dictionary<string, string> Fields(RowPlace where, JsonElement record)
    {
        var fields = new Dictionary<string, string>();
        foreach (var name in ProblemRow.FieldNames)
        {
            if (!record.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
                continue;
            fields[name] = value.ValueKind switch
            {
                JsonValueKind.String => Text(where, name, value),
                JsonValueKind.Number when ProblemRow.MayBeNumber(name) => value.GetRawText(),
                _ => throw new InvalidInputException($"{where}: field '{name}' is a JSON {Kind(value)} where text is expected"),
            };
        }

        return fields;
    }

    static string Text(RowPlace where, string name, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidInputException($"{where}: field '{name}' has half of a surrogate pair, which is not text", error);
        }
    }

    static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => "boolean",
        var kind => kind.ToString().ToLowerInvariant(),
    };

    static int FirstInvalid(ReadOnlySpan<byte> line)
    {
        var start = 0;
        while (Rune.DecodeFromUtf8(line[start..], out _, out var length) == OperationStatus.Done)
            start += length;
        return start;
    }
}
