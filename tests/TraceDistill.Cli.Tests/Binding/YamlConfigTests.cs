using System.Text;
using TraceDistill.Cli.Binding;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Cli.Tests.Binding;

public sealed class YamlConfigTests : IDisposable
{
    const string Marks = "{}[]&*!|>'\"%@`:-#?,\t\n \0~<=\\";

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData('[', ']')]
    [InlineData('{', '}')]
    public void ReadFile_AHundredThousandBrackets_IsOneLine(char open, char close) =>
        Assert.Contains(
            "levels of nesting",
            Refused($"a: {string.Concat(Enumerable.Repeat(open == '[' ? "[" : "{a: ", 100_000))}{new string(close, 100_000)}"),
            StringComparison.Ordinal
        );

    [Fact]
    public void ReadFile_AHundredThousandIndentedLevels_IsOneLine() =>
        Assert.Contains(
            "levels of nesting",
            Refused(string.Concat(Enumerable.Range(0, 1_000).Select(level => $"{new string(' ', level)}a:\n"))),
            StringComparison.Ordinal
        );

    [Fact]
    public void ReadFile_BillionLaughs_IsOneLine()
    {
        var text = new StringBuilder("l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for (var level = 1; level < 10; level++)
        {
            text.Append($"l{level}: &l{level} [{string.Join(", ", Enumerable.Repeat($"*l{level - 1}", 10))}]\n");
        }

        Assert.Contains("more than 20,000 values", Refused(text.ToString()), StringComparison.Ordinal);
    }

    [Fact]
    public void ReadFile_Alias_StandsForItsAnchor()
    {
        var map = Read("a: &x { b: 1 }\nc: [*x, *x]");

        var copies = Assert.IsType<ConfigList>(map["c"]).Items;
        Assert.Equal(2, copies.Count);
        Assert.All(copies, copy => Assert.Equal("1", Assert.IsType<ConfigScalar>(((ConfigMap)copy)["b"]).Text));
    }

    [Fact]
    public void ReadFile_LargerThanAMebibyte_IsRefused() =>
        Assert.Contains("larger than 1,024 KiB", Refused(new string('#', 1 << 21)), StringComparison.Ordinal);

    [Fact]
    public void ReadFile_NotUtf8_NamesLineAndByte()
    {
        File.WriteAllBytes(_folder.File("a.yaml"), [.. "a: 1\nb: "u8, 0xE4, .. "\n"u8]);

        var message = Assert.Throws<InvalidInputException>(() => YamlConfig.ReadFile(_folder.File("a.yaml"))).Message;

        Assert.EndsWith(
            "a.yaml:2: byte 8 (0xE4) is not UTF-8; save the file as UTF-8, or fetch it again",
            message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void ReadFile_ByteOrderMark_IsPassedOver()
    {
        File.WriteAllBytes(_folder.File("a.yaml"), [0xEF, 0xBB, 0xBF, .. "a: ä"u8]);

        Assert.Equal("ä", ((ConfigScalar)YamlConfig.ReadFile(_folder.File("a.yaml"))["a"]!).Text);
    }

    [Fact]
    public void ReadFile_MutatedText_IsReadOrRefusedInOneLine()
    {
        var seed = Encoding.UTF8.GetBytes(
            "name: x\nparameters: &p { a: 1, b: [2, 'c', \"d\\n\"] }\nstages:\n  s: { do: "
                + "w, like: *p, matrix: { k: [1, 2] } }\n  t: |\n    text\n  u: >-\n    more\n"
        );
        var random = new Random(5);
        for (var round = 0; round < 3_000; round++)
        {
            var bytes = seed.ToArray();
            for (var change = random.Next(1, 6); change > 0; change--)
            {
                bytes[random.Next(bytes.Length)] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)Marks[random.Next(Marks.Length)];
            }

            File.WriteAllBytes(_folder.File("fuzz.yaml"), bytes[..random.Next(1, bytes.Length + 1)]);
            var exception = Record.Exception(() => YamlConfig.ReadFile(_folder.File("fuzz.yaml")));

            Assert.True(exception is null or InvalidInputException, $"round {round}: {exception}");
            Assert.DoesNotContain('\n', exception?.Message ?? "");
        }
    }

    string Refused(string text) => Assert.Throws<InvalidInputException>(() => Read(text)).Message;

    ConfigMap Read(string text)
    {
        File.WriteAllText(_folder.File("a.yaml"), text);
        return YamlConfig.ReadFile(_folder.File("a.yaml"));
    }
}
