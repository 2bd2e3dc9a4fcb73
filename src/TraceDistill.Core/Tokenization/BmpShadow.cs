using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace TraceDistill.Core.Tokenization;

/// <summary>
/// A stand-in for text with surrogate pairs, in which every code point is one UTF-16 unit of the same general category. .NET's regular
/// expressions see a surrogate pair as two characters that are neither letters nor digits; on the shadow they classify as they should.
/// Can be used for one text after the other.
/// </summary>
sealed class BmpShadow
{
    readonly List<int> _offsets = [];
    readonly List<char> _chars = [];

    /// <summary>The shadow of a text, valid until the next call.</summary>
    public ReadOnlySpan<char> Of(ReadOnlySpan<char> text)
    {
        _offsets.Clear();
        _chars.Clear();
        var offset = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            // A lone surrogate enumerates as U+FFFD, one unit long, which is also how it is encoded as UTF-8.
            _chars.Add(rune.IsBmp ? (char)rune.Value : StandIn(Rune.GetUnicodeCategory(rune)));
            _offsets.Add(offset);
            offset += rune.Utf16SequenceLength;
        }

        _offsets.Add(offset);
        return CollectionsMarshal.AsSpan(_chars);
    }

    /// <summary>The stretch of the original text that a stretch of the last shadow stands for.</summary>
    public Piece ToOriginal(Piece piece) => new(_offsets[piece.Start], _offsets[piece.Start + piece.Length] - _offsets[piece.Start]);

    /// <summary>
    /// One for each general category that has code points above U+FFFF: characters that no pre-tokenizer pattern names, nor the ranges U+0800 to U+9FFF and U+AC00 to U+D7FF,
    /// by which some find Chinese, Japanese and Korean.
    /// </summary>
    static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\uA640',
        UnicodeCategory.LowercaseLetter => '\uA641',
        UnicodeCategory.TitlecaseLetter => '\u01C5',
        UnicodeCategory.ModifierLetter => '\uA60C',
        UnicodeCategory.OtherLetter => '\uA016',
        UnicodeCategory.NonSpacingMark => '\u0300',
        UnicodeCategory.SpacingCombiningMark => '\uA823',
        UnicodeCategory.EnclosingMark => '\u0488',
        UnicodeCategory.DecimalDigitNumber => '\uA620',
        UnicodeCategory.LetterNumber => '\uA6E6',
        UnicodeCategory.OtherNumber => '\uA830',
        UnicodeCategory.ConnectorPunctuation => '\uFE33',
        UnicodeCategory.DashPunctuation => '\uFE58',
        UnicodeCategory.OpenPunctuation => '\uFE59',
        UnicodeCategory.ClosePunctuation => '\uFE5A',
        UnicodeCategory.OtherPunctuation => '\uA4FE',
        UnicodeCategory.MathSymbol => '\uFE62',
        UnicodeCategory.CurrencySymbol => '\uFE69',
        UnicodeCategory.ModifierSymbol => '\uA720',
        UnicodeCategory.OtherSymbol => '\uA828',
        UnicodeCategory.Format => '\uFFF9',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\u0378',
    };
}
