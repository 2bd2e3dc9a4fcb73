using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Evaluation;

/// <summary>
/// The answers of one model on disk, one JSON object a line, appended as they arrive in any order.
/// An interrupted evaluation finds here what it already has; a line torn by the interruption is
/// cut off. Generations stay on the disk: those of a long-winded model would fill the memory.
/// </summary>
sealed class RecordLog : IDisposable
{
    const int ReadAhead = 1 << 16;

    readonly string _path;
    readonly Lock _lock = new();
    readonly Dictionary<string, Line> _lines = [];
    FileStream? _stream;

    /// <exception cref="InvalidInputException">A whole line is not a record.</exception>
    public RecordLog(string path)
    {
        _path = path;

        // Unbuffered: what a full disk refuses must not come again when the file is closed.
        _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        ReadWholeLines(_stream);
    }

    public bool Contains(string id)
    {
        lock (_lock)
        {
            return _lines.ContainsKey(id);
        }
    }

    /// <summary>Returns whether it holds no answers but to these requests.</summary>
    public bool IsWithin(IReadOnlySet<string> ids)
    {
        lock (_lock)
        {
            return ids.IsSupersetOf(_lines.Keys);
        }
    }

    /// <summary>Adds a record and hands it to the operating system, so that killing the process loses nothing.</summary>
    public void Append(EvaluationRecord record)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(record, JsonFile.Line), (byte)'\n'];
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stream is null, this);
            var start = _stream.Position;
            try
            {
                _stream.Write(line);
            }
            catch (IOException)
            {
                // A full disk may have taken half a line, and another answer may already be waiting to be written behind it.
                _stream.SetLength(start);
                throw;
            }

            Add(record, start, line.Length);
        }
    }

    /// <summary>
    /// Replaces the file by the records with these ids in this order: equal evaluations leave equal files whatever came back first.
    /// </summary>
    /// <returns>Those records, without their generations.</returns>
    public IReadOnlyList<EvaluationRecord> Finish(IReadOnlyList<string> ids)
    {
        lock (_lock)
        {
            Dispose();
            AtomicFile.Write(_path, target =>
            {
                using var source = new FileStream(_path, FileMode.Open, FileAccess.Read);
                foreach (var id in ids)
                {
                    var line = new byte[_lines[id].Length];
                    source.Position = _lines[id].Start;
                    source.ReadExactly(line);
                    target.Write(line);
                }
            });
            return [.. ids.Select(id => _lines[id].Record)];
        }
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _stream = null;
    }

    void ReadWholeLines(FileStream stream)
    {
        var (buffer, filled, start, number) = (new byte[ReadAhead], 0, 0L, 0);
        while (stream.Read(buffer, filled, buffer.Length - filled) is > 0 and var read)
        {
            filled += read;
            var taken = 0;
            while (buffer.AsSpan(taken, filled - taken).IndexOf((byte)'\n') is >= 0 and var length)
            {
                number++;
                if (length > 0)
                {
                    Add(Parse(buffer.AsSpan(taken, length), number), start + taken, length + 1);
                }

                taken += length + 1;
            }

            buffer.AsSpan(taken, filled - taken).CopyTo(buffer);
            (filled, start) = (filled - taken, start + taken);
            if (filled == buffer.Length)
            {
                Array.Resize(ref buffer, 2 * buffer.Length);
            }
        }

        stream.SetLength(start);
        stream.Position = start;
    }

    void Add(EvaluationRecord record, long start, int length) =>
        _lines[record.Id] = new Line(record with { Generation = null }, start, length);

    EvaluationRecord Parse(ReadOnlySpan<byte> line, int number)
    {
        try
        {
            return JsonFile.Parse<EvaluationRecord>(line);
        }
        catch (JsonException exception)
        {
            throw new InvalidInputException(
                $"{_path}, line {number}: not an evaluation record ({exception.Path ?? "no JSON"}); "
                    + "delete the line or the file to have it asked again",
                exception
            );
        }
    }

    /// <summary>A record without its generation, and where the whole of it stands in the file.</summary>
    readonly record struct Line(EvaluationRecord Record, long Start, int Length);
}
