using System.Text;

namespace TraceDistill.Text.Tokenizers.Pieces;

/// <summary>
/// GPT-2's reversible spelling of bytes as printable characters, in which byte-level vocabularies are
/// written: printable Latin-1 bytes stand for themselves, the others for U+0100 onwards in byte order.
/// </summary>
static class ByteLevelAlphabet
{
    static readonly char[] Chars = BuildChars();
    static readonly Dictionary<char, byte> Bytes = Chars.Index().ToDictionary(entry => entry.Item, entry => (byte)entry.Index);

    /// <summary>The character that spells a byte.</summary>
    public static char ToChar(byte value) => Chars[value];

    /// <summary>Bytes in their spelling.</summary>
    public static string Spell(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var value in bytes)
        {
            text.Append(Chars[value]);
        }
        return text.ToString();
    }

    /// <summary>The bytes a vocabulary entry stands for: its spelling undone or, when it holds other characters, its UTF-8.</summary>
    public static byte[] ToBytes(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!Bytes.TryGetValue(token[i], out bytes[i]))
            {
                return Encoding.UTF8.GetBytes(token);
            }
        }

        return bytes;
    }

    static char[] BuildChars()
    {
        var chars = new char[256];
        var next = (char)256;
        for (var value = 0; value < 256; value++)
        {
            chars[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)value : next++;
        }
        return chars;
    }
}
