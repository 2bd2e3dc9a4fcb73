using System.Text;
using System.Text.RegularExpressions;
using TraceDistill.Text.Tokenizers.PreTokenizers;
using TraceDistill.Text.Tokenizers.Spans;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers.PreTokenizers;

public class WordSplitterTests
{
    /// <summary>
    /// The patterns as the models' files have them, with the letter that Hugging Face's engine folds to s and .NET's does not.
    /// </summary>
    [Theory]
    [InlineData(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    [InlineData(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    [InlineData(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    public void Split_TextOfEveryCharacter_CutsAsTheRegularExpressionDoes(string pattern)
    {
        var (words, regex) = (
            WordSplitter.For(pattern)!,
            new Regex(pattern.Replace("(?i:'s", "(?i:'[sſ]", StringComparison.Ordinal), RegexOptions.CultureInvariant)
        );
        foreach (var text in Texts())
        {
            var pieces = new List<Piece>();
            words.Split($"x{text}", new Piece(1, text.Length), pieces);
            Assert.Equal(regex.Matches(text).Select(match => new Piece(match.Index + 1, match.Length)), pieces);
        }
    }

    [Fact]
    public void For_AnotherPattern_IsNull() => Assert.Null(WordSplitter.For(@"\p{L}+|\s+"));

    /// <summary>
    /// Every character once, among others that a rule could join it with; then random ones of the kinds that rules tell apart.
    /// </summary>
    static IEnumerable<string> Texts()
    {
        for (var code = 0; code < 0xD800; code++)
        {
            yield return $"a{(char)code}b {(char)code}c{(char)code}1 {(char)code}'{(char)code}\n{(char)code}";
        }
        var random = new Random(6);
        const string Kinds = "aZé日1٣½ \t\u00A0\u3000\n\r!.'-_\u0301sStTrReEvVlLmMdDſ\u0085\u200B'";
        for (var i = 0; i < 30_000; i++)
        {
            var text = new StringBuilder();
            for (var length = random.Next(1, 12); length > 0; length--)
            {
                text.Append(Kinds[random.Next(Kinds.Length)]);
            }
            yield return text.ToString();
        }
    }
}
