using System.Buffers.Binary;
using System.Text;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Spans;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers.Normalizers;

public sealed class PrecompiledMapTests
{
    static readonly (string From, string To)[] Entries =
    [
        ("ﬁ", "fi"),
        ("\u00A0", " "),
        ("\t", " "),
        ("\n", " "),
        ("\r", " "),
        ("①", "1"),
        ("Ⅷ", "VIII"),
        ("½", "1/2"),
        ("İ", "i"),
        ("𝐀", "A"),
        ("\u200B", ""),
        ("\u180E", ""),
        ("e\u0301", "é"),
        ("A\u030A", "Å"),
        ("Ω", "oh"),
        ("ß", "ss"),
        ("世", "world"),
        ("\u1112", "h"),
        ("e\u0300", "è"),
        ("नमस्ते", "?"),
        ("\U0010FFFF", ""),
    ];

    /// <summary>A normalizer with such a map, as tokenizer.json has it.</summary>
    /// <remarks>It deletes nothing: where a text begins with what is deleted, Hugging Face's offsets are off by that.</remarks>
    public static string Normalizer { get; } =
        $$"""{"type":"Precompiled","precompiled_charsmap":"{{Encoded([.. Entries.Where(entry => entry.To.Length > 0)])}}"}""";

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("ﬁne ½\u00A0Ⅷ", "fine 1/2 VIII")]
    [InlineData("a\u200Bb\u200B", "ab")]
    [InlineData("\u200B", "")]
    [InlineData("e\u0301A\u030A", "éÅ")]
    [InlineData("\r\n", " ")]
    [InlineData("x𝐀\U0010FFFF", "xA")]
    // Of a cluster, the shortest beginning that is known decides, so the mark behind it goes too; a long one goes by its characters.
    [InlineData("Ω\u0301", "oh")]
    [InlineData("Ω\u0301\u0301\u0301", "oh\u0301\u0301\u0301")]
    [InlineData("नमस्ते", "नमस्ते")]
    public void Apply_Text_HasWhatTheMapKnowsPutInPlace(string text, string expected) =>
        Assert.Equal(expected, new PrecompiledMap(Compile(Entries)).Apply(text, null));

    [Fact]
    public void Apply_DeletedAndInsertedCharacters_KeepTheAlignment()
    {
        const string Text = "\u200Ba½\u200Bb";
        var alignment = new TextAlignment(Text, 0, Text.Length);

        Assert.Equal("a1/2b", new PrecompiledMap(Compile(Entries)).Apply(Text, alignment));
        Assert.Equal(
            [(1, 2), (2, 3), (3, 3), (3, 4), (4, 5)],
            Enumerable.Range(0, alignment.Length).Select(at => (alignment[at].Share.Start, alignment[at].Share.End))
        );
    }

    [Fact]
    public void Create_AnyMap_NeverFailsOtherwiseThanByItsForm()
    {
        var whole = Compile(Entries);
        var random = new Random(5);
        for (var i = 0; i < 2000; i++)
        {
            var damaged = whole[..random.Next(whole.Length + 1)];
            for (var change = random.Next(4); change > 0 && damaged.Length > 4; change--)
            {
                damaged[random.Next(4, damaged.Length)] = (byte)random.Next(256);
            }

            try
            {
                _ = new PrecompiledMap(damaged).Apply("ﬁne ½\u00A0Ⅷ e\u0301 \U0010FFFF", null);
            }
            catch (FormatException) { }
        }
    }

    [Fact]
    public void Create_TextLongerThanAnyCharacterBecomes_IsRefused()
    {
        var error = Assert.Throws<FormatException>(() => new PrecompiledMap(Compile(("a", new string('b', 300)))));

        Assert.Contains("300 bytes", error.Message);
    }

    static string Encoded((string From, string To)[] entries) => Convert.ToBase64String(Compile(entries));

    /// <summary>A map as SentencePiece compiles it, but for the 256 units that each node has to itself.</summary>
    static byte[] Compile(params (string From, string To)[] entries)
    {
        var nodes = new List<Dictionary<byte, int>> { new() };
        var (values, texts) = (new Dictionary<int, int>(), new List<byte>());
        foreach (var (from, to) in entries)
        {
            var node = 0;
            foreach (var label in Encoding.UTF8.GetBytes(from))
            {
                if (!nodes[node].TryGetValue(label, out var next))
                {
                    nodes[node][label] = next = nodes.Count;
                    nodes.Add([]);
                }

                node = next;
            }

            values[node] = texts.Count;
            texts.AddRange([.. Encoding.UTF8.GetBytes(to), 0]);
        }

        var units = new uint[256 * (nodes.Count + 1)];
        Lay(node: 0, place: 0, label: 0);
        var bytes = new byte[4 + (4 * units.Length)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, 4 * units.Length);
        foreach (var (index, unit) in units.Index())
        {
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4 + (4 * index)), unit);
        }

        return [.. bytes, .. texts];

        void Lay(int node, int place, byte label)
        {
            var first = 256 * (node + 1);
            units[place] = label | ((uint)(place ^ first) << 10);
            if (values.TryGetValue(node, out var value))
            {
                units[place] |= 1 << 8;
                units[first] = (uint)value | 1u << 31;
            }

            foreach (var (next, child) in nodes[node])
            {
                Lay(child, first ^ next, next);
            }
        }
    }
}
