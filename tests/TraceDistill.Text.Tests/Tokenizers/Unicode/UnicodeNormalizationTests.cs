using System.Globalization;
using System.Text;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers.Normalizers;
using TraceDistill.Text.Tokenizers.Unicode;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers.Unicode;

public class UnicodeNormalizationTests
{
    /// <summary>Cases of Unicode's own NormalizationTest.txt: columns 1 (source) and 2 (form C).</summary>
    [Theory]
    [InlineData("\u1E0A\u0323", "\u1E0C\u0307")]
    [InlineData("\u1E14\u0304", "\u1E14\u0304")]
    [InlineData("\u05B8\u05B9\u05B1\u0591\u05C3\u05B0\u05AC\u059F", "\u05B1\u05B8\u05B9\u0591\u05C3\u05B0\u05AC\u059F")]
    [InlineData("\u212B", "\u00C5")]
    [InlineData("\u0344", "\u0308\u0301")]
    [InlineData("\u1100\u1161\u11A8", "\uAC01")]
    [InlineData("\uAC00\u11A7", "\uAC00\u11A7")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165")]
    [InlineData("a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b")]
    public void Normalize_UnicodeTestCase_GivesFormC(string source, string expected) =>
        Assert.Equal(expected, UnicodeNormalization.ToFormC(source));

    [Fact]
    public void Normalize_EveryCharacterWithAMappingOrClass_GivesWhatHuggingFaceGives()
    {
        var texts = ListedCharacters("canonical.txt")
            .Concat(ListedCharacters("compatibility.txt"))
            .Concat(Enumerable.Range(0xAC00, 100))
            .SelectMany(code => new[] { $"{new Rune(code)}", $"A\u0301{new Rune(code)}\u0327" })
            .Concat(FuzzedText.Texts(seed: 3, 500))
            .ToList();
        Assert.True(texts.Count > 5000);
        (string Type, Func<string, string> Ours)[] normalizers =
        [
            ("NFC", text => UnicodeNormalization.ToFormC(text)),
            ("NFD", text => UnicodeNormalization.ToFormD(text)),
            ("NFKC", text => UnicodeNormalization.ToFormKC(text)),
            ("NFKD", text => UnicodeNormalization.ToFormKD(text)),
            ("Lowercase", text => CharacterChanges.Lowercase(text, null)),
            ("StripAccents", text => CharacterChanges.StripAccents(text, null)),
            ("Nmt", text => CharacterChanges.Nmt(text, null)),
        ];
        foreach (var (type, ours) in normalizers)
        {
            using var peer = HuggingFaceTokenizer.OfNormalizer($$"""{"type":"{{type}}"}""");
            Assert.All(texts, text => Assert.Equal(peer.Normalize(text), ours(text)));
        }
    }

    /// <summary>The characters of a data file, first fields of mappings and ranges of classes.</summary>
    static IEnumerable<int> ListedCharacters(string file)
    {
        var lines = File.ReadLines(Path.Combine(TestPaths.RepositoryRoot, "src/TraceDistill.Text/Tokenizers/Unicode", file))
            .Where(line => line[0] != '#');
        foreach (var fields in lines.Select(line => line.Split(' ')))
        {
            foreach (
                var range in fields[0] switch
                {
                    "O" => fields[2..],
                    "X" => [],
                    "M" or "N" => fields[1..],
                    _ => [fields[1]],
                }
            )
            {
                var bounds = range
                    .Split('-')
                    .Select(code => int.Parse(code, NumberStyles.HexNumber, CultureInfo.InvariantCulture))
                    .ToArray();
                for (var code = bounds[0]; code <= bounds[^1]; code++)
                {
                    yield return code;
                }
            }
        }
    }
}
