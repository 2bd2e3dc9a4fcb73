namespace TraceDistill.Data.Shards.Codec;

/// <summary>
/// Byte-wise range encoder with carry (the one of LZMA): a 32-bit range is narrowed to each symbol's share, and its settled bytes go out.
/// </summary>
struct RangeEncoder : INibbleCoder
{
    const uint SmallestRange = 1u << 24;

    byte[] _output = new byte[256];
    int _length;
    ulong _low;
    uint _range = uint.MaxValue;
    byte _pending; // the last settled byte, which a carry may still raise
    int _pendingCount = 1; // it and the 0xFF bytes behind it
    bool _begun; // the first pending byte stands before the point, is always 0 and is not written

    public RangeEncoder() { }

    public int Nibble(AdaptiveNibbles models, int model, int value)
    {
        var (start, width) = models.Interval(model, value);
        Narrow(_range >> AdaptiveNibbles.TotalBits, start, width);
        models.Update(model, value);
        return value;
    }

    public int Bits(int count, int value)
    {
        Narrow(_range >> count, (uint)value, 1);
        return value;
    }

    /// <summary>Ends the code and returns its bytes, up to four zero bytes at the end left out.</summary>
    public byte[] Finish()
    {
        // The number with the most trailing zeros that still lies in the range.
        _low = (_low + SmallestRange - 1) & ~(ulong)(SmallestRange - 1);
        for (var i = 0; i < 5; i++)
        {
            ShiftLow();
        }

        for (var i = 0; i < 4 && _length > 0 && _output[_length - 1] == 0; i++)
        {
            _length--;
        }

        return _output[.._length];
    }

    void Narrow(uint unit, uint start, uint width)
    {
        _low += (ulong)unit * start;
        _range = unit * width;
        while (_range < SmallestRange)
        {
            _range <<= 8;
            ShiftLow();
        }
    }

    void ShiftLow()
    {
        if (_low is < 0xFF000000 or > uint.MaxValue)
        {
            var carry = (byte)(_low >> 32);
            for (; _pendingCount > 0; _pendingCount--)
            {
                Write((byte)(_pending + carry));
                _pending = 0xFF;
            }

            _pending = (byte)(_low >> 24);
        }

        _pendingCount++;
        _low = (_low & 0x00FFFFFF) << 8;
    }

    void Write(byte settled)
    {
        if (!_begun)
        {
            _begun = true;
            return;
        }

        if (_length == _output.Length)
        {
            Array.Resize(ref _output, 2 * _length);
        }

        _output[_length++] = settled;
    }
}
