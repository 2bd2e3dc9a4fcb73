using System.Globalization;
using System.Text;
using TraceDistill.Text.Tokenizers.Patterns;
using TraceDistill.Text.Tokenizers.Spans;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers.Patterns;

public class BmpShadowTests
{
    [Fact]
    public void Of_EveryCharacterInTwoUnits_IsOneUnitOfTheSameCategoryThatThePatternDoesNotName()
    {
        var (shadow, standIns) = (new BmpShadow(), new StandIns([OnigurumaPattern.Parse("[一-龥ࠀ-一가-퟿Ꙁ-ꙭ]")]));
        foreach (var rune in Enumerable.Range(0x10000, 0x100000).Select(code => new Rune(code)))
        {
            var standIn = Assert.Single(shadow.Of(rune.ToString(), standIns).ToArray());
            Assert.Equal(Rune.GetUnicodeCategory(rune), CharUnicodeInfo.GetUnicodeCategory(standIn));
            Assert.False(
                standIn is (>= '\u0800' and <= '\u9FA5') or (>= '\uAC00' and <= '\uD7FF') or (>= '\uA640' and <= '\uA66D'),
                $"{rune.Value:X}"
            );
        }

        Assert.Equal(new Piece(1, 3), Shadowed("a\U0001F600bc", new Piece(1, 2)));

        Piece Shadowed(string text, Piece piece)
        {
            shadow.Of(text, standIns);
            return shadow.ToOriginal(piece);
        }
    }

    /// <summary>A text's own characters are not taken for those that they stand for.</summary>
    [Fact]
    public void Of_CharactersThatAPatternNames_AreToldFromAllOthers()
    {
        var pattern = OnigurumaPattern.Parse(@"[𐐀-𐑏a]|\x{1F600}");
        var standIns = new StandIns([pattern]);
        var (letters, face) = (standIns.Units(0, 0), standIns.Units(0, 1));

        Assert.Contains(standIns.Of(new Rune(0x10400)), letters);
        Assert.Contains(standIns.Of(new Rune(0x1044F)), letters);
        Assert.DoesNotContain(standIns.Of(new Rune(0x10450)), letters);
        Assert.Equal($"{standIns.Of(new Rune(0x1F600))}", face);
        Assert.All(letters + face, unit => Assert.DoesNotContain(standIns.Of(new Rune(unit)), letters + face));
        Assert.All(letters + face, unit =>
            Assert.Equal(CharUnicodeInfo.GetUnicodeCategory(unit), CharUnicodeInfo.GetUnicodeCategory(standIns.Of(new Rune(unit))))
        );
    }
}
