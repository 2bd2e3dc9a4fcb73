using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems.Files;

/// <summary>The records of a JSON or JSON Lines file as bytes, one at a time, and what such bytes hold.</summary>
static class JsonRecords
{
    const int ChunkBytes = 1 << 16;

    /// <param name="path">The file.</param>
    /// <param name="format">JSON Lines, or JSON.</param>
    /// <param name="isWanted">Which records, counted from 0, are given; the others are passed over unread.</param>
    /// <param name="cancellationToken">Ends reading.</param>
    public static async IAsyncEnumerable<(RowPlace Where, byte[] Json)> ReadAsync(
        string path,
        ProblemFormat format,
        Predicate<int> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken
    )
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.Asynchronous);
        await using var stream = ProblemFormats.IsCompressed(path) ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
        var splitter = new JsonRecordSplitter(path, mayBeLines: format == ProblemFormat.JsonLines);
        var (chunk, found, record) = (new byte[ChunkBytes], new Queue<(int Line, byte[] Json)>(), 0);
        var preamble = Encoding.UTF8.Preamble.Length;
        for (var isFirst = true; ; isFirst = false)
        {
            var read = await ReadChunkAsync(path, stream, chunk, isFirst ? preamble : 1, cancellationToken);
            var bytes = chunk.AsMemory(0, read);
            splitter.Add(isFirst && bytes.Span.StartsWith(Encoding.UTF8.Preamble) ? bytes[preamble..].Span : bytes.Span, found);
            if (read == 0)
            {
                splitter.End(found);
            }

            while (found.TryDequeue(out var next))
            {
                if (isWanted(record++))
                {
                    yield return (new RowPlace(path, "line", next.Line), next.Json);
                }
            }

            if (read == 0)
            {
                splitter.EnsureWhole();
                yield break;
            }
        }
    }

    /// <summary>Gives a record as a JSON object.</summary>
    /// <exception cref="InvalidInputException">It is none, or not in UTF-8; names the place.</exception>
    public static JsonDocument Parse(RowPlace where, byte[] json)
    {
        if (!Utf8.IsValid(json))
        {
            throw new InvalidInputException(
                $"{where}: not valid UTF-8 (byte {FirstInvalid(json) + 1} of the line); "
                    + "save the file as UTF-8, or convert it, as with iconv -f WINDOWS-1252 -t UTF-8"
            );
        }

        var document = Document(where, json);
        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            if (json.AsSpan().IndexOf("\\u"u8) >= 0 && !AreText(document.RootElement))
            {
                throw new InvalidInputException($"{where}: the name of a field has half of a surrogate pair, which is not text");
            }

            return document;
        }

        using (document)
        {
            throw new InvalidInputException(
                $"{where}: a JSON {ProblemRecord.Kind(document.RootElement)} where an object is expected; each record is one {{...}}"
            );
        }
    }

    /// <returns>Whether all names of fields are text.</returns>
    static bool AreText(JsonElement json)
    {
        try
        {
            return json.ValueKind switch
            {
                JsonValueKind.Object => json.EnumerateObject().All(field => field.Name.Length >= 0 && AreText(field.Value)),
                JsonValueKind.Array => json.EnumerateArray().All(AreText),
                _ => true,
            };
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    static JsonDocument Document(RowPlace where, byte[] json)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException error)
        {
            var column = ((error.BytePositionInLine ?? 0) + 1).ToString(CultureInfo.InvariantCulture);
            var line = where with { Number = where.Number + (int)(error.LineNumber ?? 0) };
            try
            {
                return WithoutNaN(json) is { } repaired ? JsonDocument.Parse(repaired) : throw Malformed();
            }
            catch (JsonException)
            {
                throw Malformed();
            }

            InvalidInputException Malformed() =>
                new($"{line}: malformed JSON at byte {column}; each line holds one whole object, or the file is one array of them", error);
        }
    }

    /// <summary>Python and pandas write a value that is missing as <c>NaN</c>, which JSON does not know: null takes its place.</summary>
    /// <returns>Null where there is none.</returns>
    static byte[]? WithoutNaN(ReadOnlySpan<byte> json)
    {
        var (result, isText, copied) = (new ArrayBufferWriter<byte>(json.Length + 8), false, 0);
        for (var i = 0; i < json.Length; i++)
        {
            if (isText && json[i] == '\\')
            {
                i++;
            }
            else if (json[i] == '"')
            {
                isText = !isText;
            }
            else if (!isText && json[i..].StartsWith("NaN"u8))
            {
                result.Write(json[copied..i]);
                result.Write("null"u8);
                copied = i + "NaN"u8.Length;
                i = copied - 1;
            }
        }

        result.Write(json[copied..]);
        return copied == 0 ? null : result.WrittenSpan.ToArray();
    }

    static async Task<int> ReadChunkAsync(string path, Stream stream, byte[] chunk, int least, CancellationToken cancellationToken)
    {
        try
        {
            return await stream.ReadAtLeastAsync(chunk, least, throwOnEndOfStream: false, cancellationToken);
        }
        catch (InvalidDataException error)
        {
            throw new InvalidInputException($"{path}: not a whole gzip file; download or compress it again", error);
        }
    }

    static int FirstInvalid(ReadOnlySpan<byte> line)
    {
        var start = 0;
        while (Rune.DecodeFromUtf8(line[start..], out _, out var length) == OperationStatus.Done)
        {
            start += length;
        }

        return start;
    }
}
