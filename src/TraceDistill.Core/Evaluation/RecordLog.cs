using System.Text.Json;
using TraceDistill.Core.Errors;
using TraceDistill.Core.Storage;

namespace TraceDistill.Core.Evaluation;

/// <summary>
/// The answers of one model on disk, one JSON object a line, appended as they arrive in any order. An interrupted evaluation finds here what
/// it already has; a line torn by the interruption is cut off.
/// </summary>
sealed class RecordLog : IDisposable
{
    readonly string _path;
    readonly Lock _lock = new();
    readonly Dictionary<string, EvaluationRecord> _records = [];
    FileStream? _stream;

    /// <exception cref="InvalidInputException">A whole line is not a record.</exception>
    public RecordLog(string path)
    {
        _path = path;
        _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        ReadWholeLines(_stream);
    }

    public bool Contains(string id)
    {
        lock (_lock)
        {
            return _records.ContainsKey(id);
        }
    }

    /// <summary>Adds a record and hands it to the operating system, so that killing the process loses nothing.</summary>
    public void Append(EvaluationRecord record)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(record, EvaluationJson.Line);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stream is null, this);
            var end = _stream.Length;
            try
            {
                _stream.Write([.. line, (byte)'\n']);
                _stream.Flush();
            }
            catch (IOException)
            {
                // A full disk may have taken half a line, and another answer may already be waiting to be written behind it.
                _stream.SetLength(end);
                throw;
            }

            _records[record.Id] = record;
        }
    }

    /// <summary>Replaces the file by the records with these ids in this order: equal evaluations leave equal files whatever came back first.</summary>
    /// <returns>Those records.</returns>
    public IReadOnlyList<EvaluationRecord> Finish(IReadOnlyList<string> ids)
    {
        lock (_lock)
        {
            Dispose();
            IReadOnlyList<EvaluationRecord> records = [.. ids.Select(id => _records[id])];
            AtomicFile.Write(_path, stream =>
            {
                foreach (var record in records)
                {
                    stream.Write([.. JsonSerializer.SerializeToUtf8Bytes(record, EvaluationJson.Line), (byte)'\n']);
                }
            });
            return records;
        }
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _stream = null;
    }

    void ReadWholeLines(FileStream stream)
    {
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var whole = bytes.AsSpan().LastIndexOf((byte)'\n') + 1;
        stream.SetLength(whole);
        stream.Position = whole;

        var number = 0;
        foreach (var range in bytes.AsSpan(0, whole).Split((byte)'\n'))
        {
            number++;
            var line = bytes.AsSpan(0, whole)[range];
            if (line.IsEmpty)
            {
                continue;
            }

            var record = Parse(line, number);
            _records[record.Id] = record;
        }
    }

    EvaluationRecord Parse(ReadOnlySpan<byte> line, int number)
    {
        try
        {
            return JsonSerializer.Deserialize<EvaluationRecord>(line, EvaluationJson.Line)!;
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException($"{_path}, line {number}: not an evaluation record ({exception.Path ?? "no JSON"}); delete the line or the file to have it asked again", exception);
        }
    }
}
