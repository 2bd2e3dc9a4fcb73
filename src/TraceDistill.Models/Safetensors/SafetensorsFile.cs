using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Safetensors;

/// <summary>
/// One tensor in a safetensors file: <paramref name="Start"/> and <paramref name="End"/> are bytes from the file's beginning.
/// </summary>
public sealed record SafetensorsEntry(string Name, TensorDtype Dtype, long[] Shape, long Start, long End);

/// <summary>
/// Reads the safetensors format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then raw
/// little-endian values. The header is untrusted: sizes, ranges and overlaps are checked before anything is read.
/// </summary>
/// <remarks>Format: https://github.com/huggingface/safetensors#format.</remarks>
public sealed class SafetensorsFile : IDisposable
{
    const long MaximumHeader = 100_000_000;

    /// <summary>Values that are read at a time, to be converted while the processor's cache holds them.</summary>
    const int PieceValues = 1 << 17;
    readonly FileStream _file;

    SafetensorsFile(string path, FileStream file, IReadOnlyDictionary<string, SafetensorsEntry> entries)
    {
        Path = path;
        _file = file;
        Entries = entries;
    }

    public string Path { get; }

    public IReadOnlyDictionary<string, SafetensorsEntry> Entries { get; }

    /// <exception cref="InvalidInputException">Absent, truncated, or a header that does not describe this file.</exception>
    public static SafetensorsFile Open(string path)
    {
        InputFile.EnsureReadable(path);
        // Header and tensors by one opening: of a file that is replaced meanwhile both are the former one's.
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        try
        {
            return new SafetensorsFile(path, stream, ReadHeader(path, stream));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads a tensor into <paramref name="destination"/>, converting float16 and bfloat16 (exactly) to float32.</summary>
    /// <param name="entry">One of <see cref="Entries"/>.</param>
    /// <param name="destination">As many elements as the tensor has.</param>
    public void Read(SafetensorsEntry entry, Span<float> destination)
    {
        var (size, start) = (entry.Dtype.Size(), entry.Start);
        var piece = ArrayPool<byte>.Shared.Rent(PieceValues * size);
        try
        {
            while (!destination.IsEmpty)
            {
                var values = destination[..Math.Min(destination.Length, PieceValues)];
                var bytes = piece.AsSpan(0, values.Length * size);
                Fill(entry, start, bytes);
                entry.Dtype.Decode(bytes, values);
                start += bytes.Length;
                destination = destination[values.Length..];
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
    }

    /// <summary>Copies values as they are stored, little-endian.</summary>
    /// <param name="entry">One of <see cref="Entries"/>.</param>
    /// <param name="first">The first value.</param>
    /// <param name="values">Receives as many as it has room for.</param>
    public void Read(SafetensorsEntry entry, long first, Span<byte> values) =>
        Fill(entry, entry.Start + (first * entry.Dtype.Size()), values);

    public void Dispose() => _file.Dispose();

    void Fill(SafetensorsEntry entry, long start, Span<byte> bytes)
    {
        for (var read = 0; read < bytes.Length; )
        {
            var count = RandomAccess.Read(_file.SafeFileHandle, bytes[read..], start + read);
            if (count == 0)
            {
                throw new InvalidInputException($"{Path}: ends within tensor {entry.Name}: the file was cut short after it was opened");
            }

            read += count;
        }
    }

    static Dictionary<string, SafetensorsEntry> ReadHeader(string path, FileStream stream)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (stream.Length < 8)
        {
            throw new InvalidInputException($"{path}: {stream.Length} bytes is too short for a safetensors file");
        }

        stream.ReadExactly(prefix);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaximumHeader || (long)length > stream.Length - 8)
        {
            throw new InvalidInputException(
                $"{path}: the header claims {length} bytes in a file of {stream.Length}; the file is truncated or not safetensors"
            );
        }

        var header = new byte[length];
        stream.ReadExactly(header);
        var entries = new Dictionary<string, SafetensorsEntry>();
        try
        {
            Utf8Text.CheckJson($"{path}: header", header);
            using var json = JsonDocument.Parse(header);
            foreach (var property in json.RootElement.EnumerateObject().Where(property => property.Name != "__metadata__"))
            {
                if (property.Value.ValueKind != JsonValueKind.Object)
                {
                    throw new InvalidInputException(
                        $"{path}: malformed safetensors header: tensor {property.Name} is not described by an object"
                    );
                }

                if (!entries.TryAdd(property.Name, Entry(path, property, 8 + (long)length, stream.Length)))
                {
                    throw new InvalidInputException($"{path}: tensor {property.Name} is listed twice");
                }
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InvalidInputException($"{path}: malformed safetensors header: {error.Message.ReplaceLineEndings(" ")}", error);
        }

        RefuseOverlaps(path, entries.Values);
        return entries;
    }

    static SafetensorsEntry Entry(string path, JsonProperty property, long dataStart, long fileLength)
    {
        var name = property.Name;
        var dtype = TensorDtypes.Parse(property.Value.GetProperty("dtype").GetString())
            ?? throw new InvalidInputException(
                $"{path}: tensor {name} has dtype {property.Value.GetProperty("dtype")}; supported: F32, F16, BF16"
            );
        long[] shape = [.. property.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64())];
        long[] offsets = [.. property.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt64())];
        Int128 bytes = dtype.Size();
        foreach (var size in shape)
        {
            bytes = size < 0 || bytes < 0 || bytes > long.MaxValue ? -1 : bytes * size;
        }

        if (
            offsets.Length != 2
            || offsets[0] < 0
            || offsets[1] < offsets[0]
            || offsets[1] > fileLength - dataStart
            || bytes != offsets[1] - offsets[0]
        )
        {
            throw new InvalidInputException(
                $"{path}: tensor {name} of shape [{string.Join(", ", shape)}] claims bytes "
                    + $"{string.Join("–", offsets)} of {fileLength - dataStart}; the file is truncated or damaged"
            );
        }

        return new SafetensorsEntry(name, dtype, shape, dataStart + offsets[0], dataStart + offsets[1]);
    }

    static void RefuseOverlaps(string path, IEnumerable<SafetensorsEntry> entries)
    {
        SafetensorsEntry? previous = null;
        foreach (var entry in entries.Where(entry => entry.End > entry.Start).OrderBy(entry => entry.Start))
        {
            if (previous is not null && entry.Start < previous.End)
            {
                throw new InvalidInputException($"{path}: tensors {previous.Name} and {entry.Name} overlap");
            }

            previous = entry;
        }
    }
}
