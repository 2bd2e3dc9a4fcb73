using System.Buffers;
using TraceDistill.Text.Errors;

namespace TraceDistill.Data.Problems.Files;

/// <summary>
/// Cuts the bytes of a file into records without parsing them: at line breaks, or, where the file is an
/// array or no JSON Lines, at the ends of the values. Memory is bounded by the longest record allowed.
/// </summary>
/// <param name="path">The file, for messages.</param>
/// <param name="mayBeLines">True where each line is a record, unless the file begins as an array.</param>
sealed class JsonRecordSplitter(string path, bool mayBeLines)
{
    /// <summary>
    /// The longest record: a problem of more is no problem, and without a limit a file without line breaks would take all memory.
    /// </summary>
    public const int MostBytes = 64 << 20;

    static readonly SearchValues<byte> Structure = SearchValues.Create("\"{}[],\n"u8);
    static readonly SearchValues<byte> TextEnds = SearchValues.Create("\"\\"u8);

    readonly ArrayBufferWriter<byte> _record = new();
    bool _hasBegun;
    bool _isLines;
    bool _isArray;
    bool _isArrayClosed;
    bool _isInRecord;
    bool _isInText;
    bool _isEscaped;
    int _depth;
    int _line = 1;
    int _start = 1;

    /// <summary>Takes the next bytes.</summary>
    /// <param name="bytes">They follow those before.</param>
    /// <param name="found">Gets the records that are whole now, each with the line on which it begins.</param>
    public void Add(ReadOnlySpan<byte> bytes, Queue<(int Line, byte[] Json)> found)
    {
        if (!_hasBegun)
        {
            bytes = Begin(bytes);
        }

        while (bytes.Length > 0)
        {
            bytes = (_isLines, _isInRecord) switch
            {
                (true, _) => AddLine(bytes, found),
                (false, false) => AddBetween(bytes),
                _ => AddValue(bytes, found),
            };
        }
    }

    /// <summary>Gives what the end of the file ends.</summary>
    public void End(Queue<(int Line, byte[] Json)> found)
    {
        if (_record.WrittenCount > 0)
        {
            Emit(found);
        }
    }

    /// <exception cref="InvalidInputException">The file ends within an array.</exception>
    public void EnsureWhole()
    {
        if (_isArray && !_isArrayClosed)
        {
            throw new InvalidInputException($"{path}, line {_line}: the array ends without its ]; the file is cut off");
        }
    }

    ReadOnlySpan<byte> Begin(ReadOnlySpan<byte> bytes)
    {
        var first = bytes.IndexOfAnyExcept(" \t\r\n"u8);
        _line += bytes[..(first < 0 ? bytes.Length : first)].Count((byte)'\n');
        if (first < 0)
        {
            return [];
        }

        _hasBegun = true;
        _start = _line;
        _isArray = bytes[first] == '[';
        _isLines = mayBeLines && !_isArray;
        return bytes[(first + (_isArray ? 1 : 0))..];
    }

    ReadOnlySpan<byte> AddLine(ReadOnlySpan<byte> bytes, Queue<(int Line, byte[] Json)> found)
    {
        var end = bytes.IndexOf((byte)'\n');
        Take(end < 0 ? bytes : bytes[..end]);
        if (end < 0)
        {
            return [];
        }

        Emit(found);
        _start = ++_line;
        return bytes[(end + 1)..];
    }

    ReadOnlySpan<byte> AddBetween(ReadOnlySpan<byte> bytes)
    {
        var first = bytes.IndexOfAnyExcept(_isArray ? " \t\r\n,"u8 : " \t\r\n"u8);
        _line += bytes[..(first < 0 ? bytes.Length : first)].Count((byte)'\n');
        if (first < 0)
        {
            return [];
        }

        if (_isArrayClosed)
        {
            throw new InvalidInputException(
                $"{path}, line {_line}: something follows the end of the array; the file is to hold one array, or one object a line"
            );
        }

        if (_isArray && bytes[first] == ']')
        {
            _isArrayClosed = true;
            return bytes[(first + 1)..];
        }

        (_isInRecord, _depth, _start) = (true, 0, _line);
        return bytes[first..];
    }

    ReadOnlySpan<byte> AddValue(ReadOnlySpan<byte> bytes, Queue<(int Line, byte[] Json)> found)
    {
        if (_isEscaped)
        {
            Take(bytes[..1]);
            _isEscaped = false;
            return bytes[1..];
        }

        var next = bytes.IndexOfAny(_isInText ? TextEnds : Structure);
        if (next < 0)
        {
            Take(bytes);
            return [];
        }

        var mark = bytes[next];
        if (!_isInText && _depth == 0 && (mark is (byte)'\n' || (_isArray && mark is (byte)',' or (byte)']')))
        {
            // A value that is no object ends here; whoever parses it says so.
            Take(bytes[..next]);
            Emit(found);
            return bytes[next..];
        }

        Take(bytes[..(next + 1)]);
        switch (mark)
        {
            case (byte)'"':
                _isInText = !_isInText;
                break;
            case (byte)'\\':
                _isEscaped = true;
                break;
            case (byte)'{' or (byte)'[':
                _depth++;
                break;
            case (byte)'}' or (byte)']' when --_depth <= 0:
                Emit(found);
                break;
        }

        return bytes[(next + 1)..];
    }

    void Take(ReadOnlySpan<byte> bytes)
    {
        if (_record.WrittenCount + bytes.Length > MostBytes)
        {
            throw new InvalidInputException(
                _isLines
                    ? $"{path}, line {_start}: is longer than {MostBytes >> 20} MiB; each line holds one problem"
                    : $"{path}, line {_start}: the record that begins here is longer than "
                        + $"{MostBytes >> 20} MiB; name a file with one object for each problem"
            );
        }

        _record.Write(bytes);
        _line += _isLines ? 0 : bytes.Count((byte)'\n');
    }

    void Emit(Queue<(int Line, byte[] Json)> found)
    {
        if (_record.WrittenSpan.ContainsAnyExcept(" \t\r\n"u8))
        {
            found.Enqueue((_start, _record.WrittenSpan.ToArray()));
        }

        _record.ResetWrittenCount();
        (_isInRecord, _isInText, _depth) = (false, false, 0);
    }
}
