using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TraceDistill.Models.Configuration;
using TraceDistill.Text.Files;

namespace TraceDistill.Models.Safetensors;

/// <summary>
/// Writes safetensors files: whole or not at all, header padded so that the data is aligned to 8 bytes, <c>format: pt</c> metadata.
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>The float32 values of a tensor by name.</summary>
    public delegate ReadOnlySpan<float> ValuesOf(string name);

    const int ChunkElements = 1 << 16;

    /// <param name="path">The file to publish.</param>
    /// <param name="dtypeOf">How a tensor is stored, by name.</param>
    /// <param name="tensors">Names, shapes and where the values are, in the order they are stored.</param>
    /// <param name="values">Gives the float32 values of a tensor by name.</param>
    public static void Write(
        string path,
        Func<string, TensorDtype> dtypeOf,
        IReadOnlyList<(string Name, long[] Shape)> tensors,
        ValuesOf values
    )
    {
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        var offset = 0L;
        foreach (var (name, shape) in tensors)
        {
            var dtype = dtypeOf(name);
            var bytes = shape.ElementCount() * dtype.Size();
            header[name] = new JsonObject
            {
                ["dtype"] = dtype.SafetensorsName(),
                ["shape"] = new JsonArray([.. shape.Select(size => JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(offset, offset + bytes),
            };
            offset += bytes;
        }

        var json = Encoding.UTF8.GetBytes(header.ToJsonString(JsonSerializerOptions.Default));
        AtomicFile.Write(path, stream =>
        {
            var padded = (json.Length + 7) / 8 * 8;
            Span<byte> prefix = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(prefix, padded);
            stream.Write(prefix);
            stream.Write(json);
            stream.Write("       "u8[..(padded - json.Length)]);
            var buffer = new byte[ChunkElements * sizeof(float)];
            foreach (var (name, _) in tensors)
            {
                WriteValues(stream, dtypeOf(name), values(name), buffer);
            }
        });
    }

    static void WriteValues(Stream stream, TensorDtype dtype, ReadOnlySpan<float> values, byte[] buffer)
    {
        while (!values.IsEmpty)
        {
            var count = Math.Min(ChunkElements, values.Length);
            var bytes = buffer.AsSpan(0, count * dtype.Size());
            dtype.Encode(values[..count], bytes);
            stream.Write(bytes);
            values = values[count..];
        }
    }
}
