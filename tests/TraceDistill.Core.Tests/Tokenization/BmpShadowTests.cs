using System.Globalization;
using System.Text;
using TraceDistill.Core.Tokenization;
using Xunit;

namespace TraceDistill.Core.Tests.Tokenization;

public class BmpShadowTests
{
    [Fact]
    public void Of_EveryCharacterInTwoUnits_IsOneUnitOfTheSameCategoryAndOfNoScript()
    {
        var shadow = new BmpShadow();
        foreach (var rune in Enumerable.Range(0x10000, 0x100000).Select(code => new Rune(code)))
        {
            var standIn = Assert.Single(shadow.Of(rune.ToString()).ToArray());
            Assert.Equal(Rune.GetUnicodeCategory(rune), CharUnicodeInfo.GetUnicodeCategory(standIn));
            Assert.False(standIn is (>= '\u0800' and <= '\u9FFF') or (>= '\uAC00' and <= '\uD7FF'), $"{rune.Value:X}");
        }

        Assert.Equal(new Piece(1, 3), Shadowed("a\U0001F600bc", new Piece(1, 2)));

        Piece Shadowed(string text, Piece piece)
        {
            shadow.Of(text);
            return shadow.ToOriginal(piece);
        }
    }
}
