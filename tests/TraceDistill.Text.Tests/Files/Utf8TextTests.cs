using System.Text.Json;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using Xunit;

namespace TraceDistill.Text.Tests.Files;

public sealed class Utf8TextTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Check_FirstByteThatIsNoText_IsToldWithItsLine() =>
        Assert.Equal(
            "f.json:3: byte 7 (0xFF) is not UTF-8; save the file as UTF-8, or fetch it again",
            Assert.Throws<InvalidInputException>(() => Utf8Text.Check("f.json", [.. "ä\n日\n"u8, 0xFF, .. "x"u8])).Message
        );

    [Fact]
    public void Check_CharacterCutOff_IsTold() =>
        Assert.Contains(
            "byte 1 (0xE6)",
            Assert.Throws<InvalidInputException>(() => Utf8Text.Check("f", "a日"u8[..3])).Message,
            StringComparison.Ordinal
        );

    [Theory]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("""{"\udc00":1}""")]
    [InlineData("""{"a":["\ud83d\ud83d"]}""")]
    public void CheckJson_HalfOfASurrogatePair_IsBadInput(string json) =>
        Assert.StartsWith(
            "f.json:1: a string holds half of a surrogate pair",
            Assert.Throws<InvalidInputException>(() => Utf8Text.CheckJson("f.json", System.Text.Encoding.UTF8.GetBytes(json))).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void CheckJson_WholePairAndNoJson_AreLeftToTheParser()
    {
        Utf8Text.CheckJson("f.json", """{"a":"\ud83d\ude00"}"""u8);

        Assert.ThrowsAny<JsonException>(() => Utf8Text.CheckJson("f.json", "{"u8));
    }

    [Fact]
    public void ReadFile_LargerThanItMayBe_IsRefused()
    {
        File.WriteAllBytes(_folder.File("f"), new byte[4_097]);

        Assert.Contains(
            "is larger than 4 KiB",
            Assert.Throws<InvalidInputException>(() => Utf8Text.ReadFile(_folder.File("f"), 4_096)).Message,
            StringComparison.Ordinal
        );
        Assert.Equal(4_097, Utf8Text.ReadFile(_folder.File("f"), 4_097).Length);
    }

    [Fact]
    public void ReadFile_Utf16_IsNamed()
    {
        File.WriteAllText(_folder.File("f"), "text", System.Text.Encoding.Unicode);

        Assert.EndsWith(
            "is UTF-16; save it as UTF-8",
            Assert.Throws<InvalidInputException>(() => Utf8Text.ReadFile(_folder.File("f"), 4_096)).Message,
            StringComparison.Ordinal
        );
    }
}
