using System.Text;

namespace TraceDistill.Tests.Support;

/// <summary>
/// Text that meets the corners of pre-tokenizers: scripts, digits, white space, marks, pairs
/// of surrogates, code, long runs, special tokens.
/// </summary>
static class FuzzedText
{
    static readonly string[] Fragments =
    [
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "\u00A0",
        "\u2003",
        "\u3000",
        "\u200B",
        "\u180E",
        "\u0085",
        "\u001C",
        "don't",
        "I'LL",
        "'s",
        "'S",
        "'ſ",
        "'ſabc",
        "we'Ve",
        "'re",
        "'m",
        "Hello",
        "world",
        "ÀÉ",
        "e\u0301",
        "A\u030A\u0327",
        "ﬁ",
        "straße",
        "Ωmega",
        "İ",
        "мир",
        "世界",
        "日本語",
        "ひらがな",
        "カタカナ",
        "한국어",
        "\u1112\u1161\u11AB",
        "नमस्ते",
        "สวัสดี",
        "العربية",
        "7",
        "42",
        "1234567",
        "٣٤",
        "½",
        "Ⅷ",
        "①",
        "𝟘𝟙",
        "𝐀𝐛",
        "𠀀𠀁",
        "𐐀𐐨",
        "𞤀b",
        "Ꞑꞑ",
        "😀",
        "👨‍👩‍👧",
        "🇩🇪",
        "\U000E0001",
        "\U0010FFFF",
        "\uE000",
        "\uFFFD",
        "\uFEFF",
        "!",
        "...",
        "?!",
        "()",
        "{}",
        "=>",
        "+=",
        "_",
        "__init__",
        "a_b",
        "#",
        "\"",
        "'",
        "\\",
        "/",
        "--",
        "—",
        "“",
        "€",
        "^",
        "`",
        "~",
        "|",
        "<",
        ">",
        "<|endoftext|>",
        "<|im_start|>",
        "<think>",
        "</think>",
        "<|end|>",
        "<|en",
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<s>",
        "Ġ",
        "Ċ",
        "▁",
        "\uD800",
        "\uDC00",
        "    return x;\n",
        "for (int i = 0; i < n; i++) {",
        "https://a.b/c?d=e&f#g",
        "\\frac{1}{2}",
        "The quick brown fox",
        " jumps over",
        "\t\t}\n",
    ];

    /// <summary>The same texts for the same seed.</summary>
    public static List<string> Texts(int seed, int count)
    {
        var random = new Random(seed);
        var texts = new List<string> { "", " ", "\n" };
        while (texts.Count < count)
        {
            var text = new StringBuilder();
            for (var i = random.Next(1, 14); i > 0; i--)
            {
                var fragment = random.Next(4) == 0 ? RandomCharacter(random) : Fragments[random.Next(Fragments.Length)];
                text.Insert(text.Length, fragment, random.Next(40) == 0 ? random.Next(2, 60) : 1);
            }

            // Lone surrogates, as the halves above stand unless they meet, are no text that another program could be given.
            texts.Add(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.ToString())));
        }

        return texts;
    }

    static string RandomCharacter(Random random)
    {
        var code = random.Next(3) switch
        {
            0 => random.Next(0x250),
            1 => random.Next(0x10000),
            _ => random.Next(0x30000),
        };
        return Rune.IsValid(code) ? new Rune(code).ToString() : "\uFFFD";
    }
}
