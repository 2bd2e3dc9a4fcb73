using System.Text;

namespace TraceDistill.TestServer.Teaching;

/// <summary>
/// 32,768 tokens: the end of the sequence, the two think tags, each of the 256 bytes, and made-up
/// words. A character beyond ASCII takes several tokens, none of which is text by itself.
/// </summary>
public static class TestVocabulary
{
    public const int Size = 32_768;
    public const int EndOfSequence = 0;
    public const int ThinkOpen = 1;
    public const int ThinkClose = 2;
    const int FirstByte = 3;

    /// <summary>The first of the made-up words; all ids from here on are words.</summary>
    public const int FirstWord = FirstByte + 256;

    static readonly byte[][] Pieces = [.. Enumerable.Range(0, Size).Select(PieceOf)];
    static readonly string[] Texts = [.. Pieces.Select(Encoding.UTF8.GetString)];

    /// <summary>The token's true bytes.</summary>
    public static byte[] Bytes(int id) => Pieces[id];

    /// <summary>The token as text: U+FFFD where its bytes are no whole character.</summary>
    public static string Text(int id) => Texts[id];

    /// <summary>A text in single bytes, with think tags as the tokens that they are.</summary>
    public static IEnumerable<int> Encode(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var i = 0; i < bytes.Length; )
        {
            var tag =
                bytes.AsSpan(i).StartsWith(Pieces[ThinkOpen]) ? ThinkOpen
                : bytes.AsSpan(i).StartsWith(Pieces[ThinkClose]) ? ThinkClose
                : (int?)null;
            yield return tag ?? FirstByte + bytes[i];
            i += tag is { } id ? Pieces[id].Length : 1;
        }
    }

    static byte[] PieceOf(int id) =>
        id switch
        {
            EndOfSequence => "<|end|>"u8.ToArray(),
            ThinkOpen => "<think>"u8.ToArray(),
            ThinkClose => "</think>"u8.ToArray(),
            < FirstWord => [(byte)(id - FirstByte)],
            _ => Word(id),
        };

    static byte[] Word(int id)
    {
        var word = new List<byte> { (byte)' ' };
        for (var rest = id; rest > 0; rest /= 26)
        {
            word.Add((byte)('a' + (rest % 26)));
        }

        return [.. word];
    }
}
