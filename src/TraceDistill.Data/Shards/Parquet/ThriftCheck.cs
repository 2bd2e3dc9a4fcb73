namespace TraceDistill.Data.Shards.Parquet;

/// <summary>
/// Walks a structure in Thrift's compact protocol and refuses what is not one: Parquet.Net reads
/// numbers without end, and lists as long as they claim to be, where a damaged file asks for it.
/// </summary>
ref struct ThriftCheck(ReadOnlySpan<byte> bytes)
{
    readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>Bytes walked over.</summary>
    public int Length { get; private set; }

    /// <summary>The whole numbers among the structure's own fields 1 to 4; 0 for those that it does not have.</summary>
    public long[] Numbers { get; } = new long[5];

    /// <summary>Of each element of the schema, in order, how many stand below it.</summary>
    public List<long> Children { get; } = [];

    /// <param name="name">One of <see cref="ParquetStructures"/>.</param>
    /// <exception cref="InvalidDataException">The bytes are not such a structure.</exception>
    /// <exception cref="EndOfStreamException">They end before it does.</exception>
    public void Struct(string name) => Struct(name, Numbers);

    void Struct(string name, long[]? numbers)
    {
        var id = 0;
        while (Byte() is var header && header != (byte)ThriftType.Stop)
        {
            var type = (ThriftType)(header & 0x0F);
            id = header >> 4 is var step and > 0 ? id + step : (int)Zigzag(Varint());
            if (ParquetStructures.Find(name, id) is not { } field)
            {
                Unknown(type);
            }
            else if (type == field.Type || (type == ThriftType.False && field.Type == ThriftType.True))
            {
                var number = Value(field);
                if (numbers is not null && id < numbers.Length)
                {
                    numbers[id] = number;
                }
            }
            else
            {
                throw new InvalidDataException($"field {id} of {name} is of type {type} in place of {field.Type}");
            }
        }
    }

    /// <returns>A number's value.</returns>
    long Value(ThriftField field)
    {
        switch (field.Type)
        {
            case ThriftType.Struct:
                var numbers = field.Struct == ParquetStructures.SchemaElement ? new long[ParquetStructures.Children + 1] : null;
                Struct(field.Struct!, numbers);
                if (numbers is not null)
                {
                    Children.Add(numbers[ParquetStructures.Children]);
                }

                return 0;
            case ThriftType.List:
                var (count, type) = ListHeader();
                if (count > 0 && type != field.Element!.Type)
                {
                    throw new InvalidDataException($"a list of {type} in place of {field.Element.Type}");
                }
                for (var i = 0; i < count; i++)
                {
                    Value(field.Element!);
                }
                return 0;
            default:
                return Scalar(field.Type);
        }
    }

    /// <summary>Passes over what a newer version of the format has added, as far as Parquet.Net can.</summary>
    void Unknown(ThriftType type)
    {
        switch (type)
        {
            case ThriftType.Struct:
                if (Byte() != (byte)ThriftType.Stop)
                {
                    throw new InvalidDataException("a structure that is not known");
                }
                break;
            case ThriftType.List:
                var (count, element) = ListHeader();
                if (element is ThriftType.True or ThriftType.False)
                {
                    throw new InvalidDataException("a list that is not known");
                }
                for (var i = 0; i < count; i++)
                {
                    Scalar(element);
                }
                break;
            default:
                Scalar(type);
                break;
        }
    }

    long Scalar(ThriftType type)
    {
        switch (type)
        {
            case ThriftType.True or ThriftType.False:
                return 0;
            case ThriftType.Byte:
                return Byte();
            case ThriftType.I16 or ThriftType.I32 or ThriftType.I64:
                return Zigzag(Varint());
            case ThriftType.Double:
                Skip(sizeof(double));
                return 0;
            case ThriftType.Binary:
                Skip(Varint());
                return 0;
            default:
                throw new InvalidDataException($"a value of type {type}");
        }
    }

    (int Count, ThriftType Element) ListHeader()
    {
        var header = Byte();
        var count = header >> 4 is var few and < 15 ? (ulong)few : Varint();

        // Every item takes a byte at least.
        return count <= (ulong)(_bytes.Length - Length) ? ((int)count, (ThriftType)(header & 0x0F)) : throw End();
    }

    byte Byte() => Length < _bytes.Length ? _bytes[Length++] : throw End();

    ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Byte();
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("a number of more than 64 bits");
    }

    void Skip(ulong count) => Length = count <= (ulong)(_bytes.Length - Length) ? Length + (int)count : throw End();

    static long Zigzag(ulong value) => (long)(value >> 1) ^ -(long)(value & 1);

    static EndOfStreamException End() => new("ends within a structure");
}
