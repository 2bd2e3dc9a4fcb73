using System.Buffers;
using System.Globalization;

namespace TraceDistill.Teachers.Wire;

/// <summary>
/// Steps through a list of tokens with logprobs several times as fast as a JSON reader, by expecting what servers write: objects of the few
/// members that <see cref="LogprobEntry"/> knows, of the plainest kind. Of anything else it says so, and a JSON reader has the say.
/// </summary>
/// <param name="json">The whole response.</param>
/// <param name="position">Where to start.</param>
ref struct LogprobScanner(ReadOnlySpan<byte> json, int position)
{
    // As many digits as 64 bits hold for certain, and the powers of ten that a float64 holds exactly.
    const int MostDigits = 19;
    static readonly double[] PowersOfTen =
    [
        .. Enumerable.Range(0, 23).Select(power => double.Parse($"1e{power}", CultureInfo.InvariantCulture)),
    ];

    static readonly SearchValues<byte> EndsOfText = SearchValues.Create([
        (byte)'"',
        (byte)'\\',
        .. Enumerable.Range(0, ' ').Select(control => (byte)control),
    ]);

    readonly ReadOnlySpan<byte> _json = json;
    int _position = position;

    /// <summary>The next byte to be looked at.</summary>
    public readonly int Position => _position;

    static ReadOnlySpan<byte> IdSpelling => "token_id:"u8;

    /// <summary>
    /// Steps over <paramref name="expected"/> and white space before it; false, with only the white space consumed, if it is not there.
    /// </summary>
    public bool Take(byte expected)
    {
        if ((_position < _json.Length && _json[_position] == expected) || StandsBefore(expected))
        {
            _position++;
            return true;
        }

        return false;
    }

    /// <summary>Returns whether <paramref name="expected"/> comes next, but for white space.</summary>
    public bool StandsBefore(byte expected)
    {
        SkipWhiteSpace();
        return _position < _json.Length && _json[_position] == expected;
    }

    /// <summary>
    /// Reads the members of an entry, up to its end or to <c>top_logprobs</c>; the brace before the first one is consumed.
    /// </summary>
    /// <param name="entry">Takes what is read.</param>
    /// <param name="next">Element at the reader now.</param>
    /// <returns>False where something else stands there.</returns>
    public bool TryReadMembers(ref LogprobEntry entry, out AfterMembers next)
    {
        next = AfterMembers.End;
        do
        {
            if (!TryReadName(out var name))
            {
                return false;
            }

            if (name.SequenceEqual("top_logprobs"u8))
            {
                next = AfterMembers.Alternatives;
                return true;
            }

            if (!TryReadMember(name, ref entry))
            {
                return false;
            }
        } while (Take((byte)','));

        return Take((byte)'}');
    }

    bool TryReadName(out ReadOnlySpan<byte> name)
    {
        name = default;
        return Take((byte)'"') && TryReadString(out name) && Take((byte)':');
    }

    bool TryReadMember(ReadOnlySpan<byte> name, ref LogprobEntry entry)
    {
        switch (name.Length)
        {
            case 7 when name.SequenceEqual("logprob"u8):
                return entry.HasLogprob = TryReadLogprob(out entry.Logprob);
            case 5 when name.SequenceEqual("bytes"u8):
                return TrySkipBytes(out entry.BytesStart);
            case 5 when name.SequenceEqual("token"u8):
                if (!Take((byte)'"') || !TryReadString(out var token))
                {
                    return false;
                }

                if (!token.StartsWith(IdSpelling))
                {
                    return true;
                }

                var isId = TryParseId(token[IdSpelling.Length..], out var spelled);
                entry.Id ??= spelled;
                return isId;
            case 2 when name.SequenceEqual("id"u8):
                return TryReadId(ref entry);
            default:
                return false;
        }
    }

    /// <summary>
    /// Up to the closing quote; an escape stays as it stands. A control character is no JSON, and for the reader to refuse.
    /// </summary>
    bool TryReadString(out ReadOnlySpan<byte> text)
    {
        var start = _position;
        while (_json[_position..].IndexOfAny(EndsOfText) is >= 0 and var length)
        {
            _position += length + 1;
            if (_json[_position - 1] < ' ')
            {
                break;
            }

            if (_json[_position - 1] == '"')
            {
                text = _json[start..(_position - 1)];
                return true;
            }

            // What is escaped ends nothing.
            _position = Math.Min(_position + 1, _json.Length);
        }

        text = default;
        return false;
    }

    bool TryReadId(ref LogprobEntry entry)
    {
        SkipWhiteSpace();
        var length = _json[_position..].IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        if (length <= 0 || !TryParseId(_json.Slice(_position, length), out var id))
        {
            return false;
        }

        entry.Id = id;
        _position += length;
        return true;
    }

    static bool TryParseId(ReadOnlySpan<byte> digits, out int id)
    {
        id = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            id = (id * 10) + (digit - '0');
        }

        return digits.Length is > 0 and < 10;
    }

    /// <summary>Finds the end of an array of numbers that are read later, if at all.</summary>
    bool TrySkipBytes(out int start)
    {
        SkipWhiteSpace();
        start = _position;
        if (!Take((byte)'['))
        {
            start = 0;
            return TakeNull();
        }

        while (_position < _json.Length)
        {
            var length = _json[_position..].IndexOfAnyExceptInRange((byte)',', (byte)'9');
            if (length < 0)
            {
                return false;
            }

            _position += length;
            if (Take((byte)']'))
            {
                return true;
            }

            if (_position < _json.Length && _json[_position] is < (byte)',' or > (byte)'9')
            {
                return false;
            }
        }

        return false;
    }

    bool TakeNull()
    {
        if (!_json[_position..].StartsWith("null"u8))
        {
            return false;
        }

        _position += 4;
        return true;
    }

    /// <summary>A number of at most zero, rounded as a JSON reader rounds it.</summary>
    bool TryReadLogprob(out float logprob)
    {
        SkipWhiteSpace();
        var start = _position;
        var negative = _position < _json.Length && _json[_position] == '-';
        _position += negative ? 1 : 0;
        var (mantissa, digits, decimals, inFraction) = (0UL, 0, 0, false);
        byte symbol = 0;
        for (; _position < _json.Length; _position++)
        {
            symbol = _json[_position];
            if (symbol is >= (byte)'0' and <= (byte)'9')
            {
                mantissa = (mantissa * 10) + (ulong)(symbol - '0');
                decimals += inFraction ? 1 : 0;
                digits++;
            }
            else if (symbol == '.' && !inFraction && digits > 0)
            {
                inFraction = true;
            }
            else
            {
                break;
            }
        }

        var hasExponent = symbol is (byte)'e' or (byte)'E';
        logprob = 0;
        if (digits == 0 || (inFraction && decimals == 0) || (_json[start + (negative ? 1 : 0)] == '0' && digits - decimals > 1))
        {
            return false;
        }

        if (
            hasExponent
            || digits > MostDigits
            || decimals >= PowersOfTen.Length
            || !IsRoundedAlike(mantissa / PowersOfTen[decimals], out logprob)
        )
        {
            return TryParse(start, out logprob) && logprob <= 0;
        }

        logprob = negative ? -logprob : logprob;
        return logprob <= 0;
    }

    /// <summary>
    /// Returns whether a float64 is so far from the middle between two float32 that what it may be off by, one unit in its last place,
    /// does not matter.
    /// </summary>
    static bool IsRoundedAlike(double value, out float rounded)
    {
        rounded = (float)value;
        var rest = BitConverter.DoubleToInt64Bits(value) & 0x1FFF_FFFF;
        return Math.Abs(rest - 0x1000_0000) > 4 && (value == 0 || value > 1e-30);
    }

    /// <summary>A number that takes more than one rounding.</summary>
    bool TryParse(int start, out float value)
    {
        const NumberStyles JsonNumber = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        while (
            _position < _json.Length
            && _json[_position] is (>= (byte)'0' and <= (byte)'9') or (byte)'e' or (byte)'E' or (byte)'+' or (byte)'-'
        )
        {
            _position++;
        }

        return float.TryParse(_json[start.._position], JsonNumber, CultureInfo.InvariantCulture, out value) && float.IsFinite(value);
    }

    void SkipWhiteSpace()
    {
        while (_position < _json.Length && _json[_position] is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')
        {
            _position++;
        }
    }

    public enum AfterMembers
    {
        /// <summary>The entry is over.</summary>
        End,

        /// <summary>The value of <c>top_logprobs</c>.</summary>
        Alternatives,
    }
}
