using System.Text;

namespace TraceDistill.Models.Export.Gguf;

/// <summary>
/// Writes version 3 of GGUF: metadata, names, shapes and places of tensors, then their data, each at a multiple of 32 bytes.
/// </summary>
static class GgufWriter
{
    const uint Magic = 0x46554747; // "GGUF"
    const uint Version = 3;
    const int Alignment = 32;

    /// <param name="stream">Empty and seekable.</param>
    /// <param name="writeData">Writes as many bytes of a tensor as <see cref="GgufTensor.Bytes"/> says.</param>
    public static void Write(Stream stream, GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors, Action<GgufTensor, Stream> writeData)
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        metadata.Write(writer);
        var offset = 0L;
        foreach (var tensor in tensors)
        {
            GgufMetadata.WriteText(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Length);
            foreach (var size in tensor.Shape.Reverse())
            {
                writer.Write((ulong)size);
            }

            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += Padded(tensor.Bytes);
        }

        foreach (var tensor in tensors)
        {
            Pad(writer);
            writeData(tensor, stream);
        }

        Pad(writer);
    }

    static long Padded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        var position = writer.BaseStream.Position;
        writer.Write(new byte[Padded(position) - position]);
    }
}
