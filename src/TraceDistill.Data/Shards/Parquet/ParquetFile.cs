using System.Buffers.Binary;
using Parquet;

namespace TraceDistill.Data.Shards.Parquet;

/// <summary>Opens Parquet files that may be damaged.</summary>
static class ParquetFile
{
    /// <summary>The footer's length, and the letters that end a file.</summary>
    const int TailBytes = 8;

    /// <summary>The largest row group: it is held in memory as a whole.</summary>
    const long MostRowGroupBytes = 4L << 30;

    /// <summary>The deepest schema: a list of structures takes three levels.</summary>
    const int MostLevels = 64;

    /// <summary>Opens a file; the reader owns it from then on.</summary>
    /// <remarks>
    /// Any exception but <see cref="OperationCanceledException"/>, now or while it is read, says that it is not a whole Parquet file.
    /// </remarks>
    public static async Task<ParquetReader> OpenAsync(FileStream file, CancellationToken cancellationToken)
    {
        await CheckFooterAsync(file, cancellationToken);
        var reader = await ParquetReader.CreateAsync(
            new CheckedParquetStream(file),
            leaveStreamOpen: false,
            cancellationToken: cancellationToken
        );

        // Put together at the first look, and not of every footer that can be read.
        _ = reader.Schema;

        // Room is made for so many values before the first is read; rows that tell themselves
        // apart by an id or a problem take a byte each at least.
        if (reader.RowGroups.Any(group => group.RowCount < 0 || group.RowCount > file.Length))
        {
            throw new InvalidDataException($"{reader.RowGroups.Max(group => group.RowCount)} rows in {file.Length} bytes");
        }

        return reader.Metadata!.RowGroups.Max(group => (long?)group.TotalByteSize) is not > MostRowGroupBytes
            ? reader
            : throw new InvalidDataException(
                $"a row group of more than {MostRowGroupBytes >> 30} GiB; write the file again with smaller row groups"
            );
    }

    static async Task CheckFooterAsync(FileStream file, CancellationToken cancellationToken)
    {
        var tail = new byte[TailBytes];
        file.Seek(-TailBytes, SeekOrigin.End);
        await file.ReadExactlyAsync(tail, cancellationToken);
        var length = BinaryPrimitives.ReadInt32LittleEndian(tail);
        if (length < 0 || length > file.Length - TailBytes)
        {
            throw new InvalidDataException($"a footer of {length} bytes in a file of {file.Length}");
        }

        var footer = new byte[length];
        file.Seek(-TailBytes - length, SeekOrigin.End);
        await file.ReadExactlyAsync(footer, cancellationToken);
        var check = new ThriftCheck(footer);
        check.Struct(ParquetStructures.Footer);
        CheckDepth(check.Children);
    }

    /// <summary>Parquet.Net descends into a schema by calling itself: one without end to its depth would end the process.</summary>
    static void CheckDepth(List<long> children)
    {
        var left = new Stack<long>();
        foreach (var below in children)
        {
            left.Push(below);
            if (below < 0 || left.Count > MostLevels)
            {
                throw new InvalidDataException(
                    below < 0 ? $"{below} columns within one" : $"columns within columns, more than {MostLevels} deep"
                );
            }

            while (left.TryPop(out var rest))
            {
                if (rest > 0)
                {
                    left.Push(rest - 1);
                    break;
                }
            }
        }
    }
}
