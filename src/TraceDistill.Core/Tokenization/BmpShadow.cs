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

    /// <summary>Characters that no pre-tokenizer pattern names literally, one for each general category that has code points above U+FFFF.</summary>
    static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\uA640',
        UnicodeCategory.LowercaseLetter => '\uA641',
        UnicodeCategory.TitlecaseLetter => '\u01C5',
        UnicodeCategory.ModifierLetter => '\uA60C',
        UnicodeCategory.OtherLetter => '\uA016',
        UnicodeCategory.NonSpacingMark => '\u0300',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u0488',
        UnicodeCategory.DecimalDigitNumber => '\u0966',
        UnicodeCategory.LetterNumber => '\u16EE',
        UnicodeCategory.OtherNumber => '\u2460',
        UnicodeCategory.ConnectorPunctuation => '\u203F',
        UnicodeCategory.DashPunctuation => '\u2010',
        UnicodeCategory.OpenPunctuation => '\u2045',
        UnicodeCategory.ClosePunctuation => '\u2046',
        UnicodeCategory.InitialQuotePunctuation => '\u2039',
        UnicodeCategory.FinalQuotePunctuation => '\u203A',
        UnicodeCategory.OtherPunctuation => '\u2020',
        UnicodeCategory.MathSymbol => '\u2200',
        UnicodeCategory.CurrencySymbol => '\u20AC',
        UnicodeCategory.ModifierSymbol => '\uA720',
        UnicodeCategory.OtherSymbol => '\u2600',
        UnicodeCategory.Format => '\u200B',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\u0378',
    };
}
