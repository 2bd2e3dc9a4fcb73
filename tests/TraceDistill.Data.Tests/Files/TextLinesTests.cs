using System.Text;
using TraceDistill.Data.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Files;

public sealed class TextLinesTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_EveryKindOfLineBreak_EndsALine()
    {
        File.WriteAllText(_folder.File("text"), "a\nb\r\nc\rd\n\n√", new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));

        Assert.Equal(["a", "b", "c", "d", "", "√"], TextLines.Read(_folder.File("text")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65_534)]
    [InlineData(200_001)]
    public void Read_BytesThatAreNotUtf8_NamesTheFirst(int before)
    {
        // A character of three bytes lies across each border of what is read at once.
        byte[] text =
        [
            .. Enumerable.Repeat("√"u8.ToArray(), before / 3).SelectMany(bytes => bytes),
            (byte)'\n',
            0xE9,
            (byte)'t',
            (byte)'\n',
        ];
        File.WriteAllBytes(_folder.File("text"), text);

        var error = Assert.Throws<InvalidInputException>(() => TextLines.Read(_folder.File("text")).Count());

        Assert.Equal(
            $"{_folder.File("text")}:2: byte {(before / 3 * 3) + 1} (0xE9) is not UTF-8; save the file as UTF-8, or fetch it again",
            error.Message
        );
    }
}
