using System.Buffers.Binary;
using System.Text;

namespace TraceDistill.Models.Native;

/// <summary>
/// Marks one required symbol version of a 64-bit little-endian ELF library as weak, so that the dynamic loader accepts a
/// system library that does not define it.
/// </summary>
/// <remarks>
/// Layout: <c>.gnu.version_r</c> is a list of <c>Elf64_Verneed</c> (version, cnt, file, aux, next), each with <c>Elf64_Vernaux</c>
/// records (hash u32, flags u16, other u16, name u32, next u32); see the System V ABI and the Linux Standard Base, "Symbol
/// Versioning". VER_FLG_WEAK is 2.
/// </remarks>
static class ElfVersionNeeds
{
    const uint SectionTypeVerneed = 0x6ffffffe;
    const ushort WeakFlag = 2;

    /// <summary>
    /// Sets VER_FLG_WEAK on every need of <paramref name="version"/> (such as <c>GLIBCXX_3.4.32</c>) in <paramref name="image"/>.
    /// </summary>
    /// <returns>The number of records changed.</returns>
    /// <exception cref="BadImageFormatException">The image is not a 64-bit little-endian ELF file.</exception>
    public static int MarkWeak(Span<byte> image, string version)
    {
        if (image.Length < 64 || !image[..6].SequenceEqual("\u007fELF\u0002\u0001"u8))
        {
            throw new BadImageFormatException("not a 64-bit little-endian ELF file");
        }

        var wanted = Encoding.ASCII.GetBytes(version);
        var sections = (int)U64(image, 0x28);
        int entrySize = U16(image, 0x3a),
            count = U16(image, 0x3c),
            changed = 0;
        for (var i = 0; i < count; i++)
        {
            var header = sections + i * entrySize;
            if (U32(image, header + 4) != SectionTypeVerneed)
            {
                continue;
            }

            var strings = (int)U64(image, sections + (int)U32(image, header + 40) * entrySize + 24);
            var need = (int)U64(image, header + 24);
            for (var left = (int)U32(image, header + 44); left > 0; left--)
            {
                var aux = need + (int)U32(image, need + 8);
                for (int auxLeft = U16(image, need + 2); auxLeft > 0; auxLeft--)
                {
                    var name = image[(strings + (int)U32(image, aux + 8))..];
                    if (name[..name.IndexOf((byte)0)].SequenceEqual(wanted))
                    {
                        BinaryPrimitives.WriteUInt16LittleEndian(image[(aux + 4)..], (ushort)(U16(image, aux + 4) | WeakFlag));
                        changed++;
                    }

                    aux += (int)U32(image, aux + 12);
                }

                need += (int)U32(image, need + 12);
            }
        }

        return changed;
    }

    static ushort U16(ReadOnlySpan<byte> image, int at) => BinaryPrimitives.ReadUInt16LittleEndian(image[at..]);

    static uint U32(ReadOnlySpan<byte> image, int at) => BinaryPrimitives.ReadUInt32LittleEndian(image[at..]);

    static ulong U64(ReadOnlySpan<byte> image, int at) => BinaryPrimitives.ReadUInt64LittleEndian(image[at..]);
}
