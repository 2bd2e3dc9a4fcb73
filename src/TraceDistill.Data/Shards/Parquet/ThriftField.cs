namespace TraceDistill.Data.Shards.Parquet;

/// <summary>Types of values in Thrift's compact protocol.</summary>
/// <remarks>https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.</remarks>
enum ThriftType : byte
{
    Stop = 0,
    True = 1,
    False = 2,
    Byte = 3,
    I16 = 4,
    I32 = 5,
    I64 = 6,
    Double = 7,
    Binary = 8,
    List = 9,
    Struct = 12,
}

/// <summary>Content of a structure's field.</summary>
/// <param name="Type">Its type; <see cref="ThriftType.True"/> for either truth value.</param>
/// <param name="Struct">The structure's name; null where it is none.</param>
/// <param name="Element">Type of a list's items; null where it is none.</param>
sealed record ThriftField(ThriftType Type, string? Struct = null, ThriftField? Element = null)
{
    /// <param name="text"><c>i32</c>, <c>Statistics</c> for a structure, <c>[i32]</c> for a list.</param>
    public static ThriftField Parse(string text) =>
        text switch
        {
            ['[', .. var element, ']'] => new ThriftField(ThriftType.List, Element: Parse(element)),
            "bool" => new ThriftField(ThriftType.True),
            "byte" => new ThriftField(ThriftType.Byte),
            "i16" => new ThriftField(ThriftType.I16),
            "i32" => new ThriftField(ThriftType.I32),
            "i64" => new ThriftField(ThriftType.I64),
            "double" => new ThriftField(ThriftType.Double),
            "binary" => new ThriftField(ThriftType.Binary),
            var name => new ThriftField(ThriftType.Struct, name),
        };
}
