namespace TraceDistill.Data.Shards.Codec;

/// <summary>Reads what <see cref="RangeEncoder"/> wrote.</summary>
struct RangeDecoder : INibbleCoder
{
    const uint SmallestRange = 1u << 24;
    const int LongestOverrun = 4;

    readonly byte[] _input;
    int _position;
    uint _code;
    uint _range = uint.MaxValue;

    /// <param name="input">The bytes of the code.</param>
    public RangeDecoder(byte[] input)
    {
        _input = input;
        for (var i = 0; i < 4; i++)
        {
            _code = _code << 8 | NextByte();
        }
    }

    public int Nibble(AdaptiveNibbles models, int model, int value)
    {
        var unit = _range >> AdaptiveNibbles.TotalBits;
        var symbol = models.Find(model, Math.Min(_code / unit, (1u << AdaptiveNibbles.TotalBits) - 1));
        var (start, width) = models.Interval(model, symbol);
        Narrow(unit, start, width);
        models.Update(model, symbol);
        return symbol;
    }

    public int Bits(int count, int value)
    {
        var unit = _range >> count;
        var read = Math.Min(_code / unit, (1u << count) - 1);
        Narrow(unit, read, 1);
        return (int)read;
    }

    void Narrow(uint unit, uint start, uint width)
    {
        _code -= unit * start;
        _range = unit * width;
        while (_range < SmallestRange)
        {
            _range <<= 8;
            _code = _code << 8 | NextByte();
        }
    }

    // Up to four zero bytes at the end are not stored; needing more of them means that the code is cut off.
    byte NextByte()
    {
        if (_position < _input.Length)
        {
            return _input[_position++];
        }

        return _position++ < _input.Length + LongestOverrun ? (byte)0 : throw new InvalidDataException("the soft targets are cut off");
    }
}
