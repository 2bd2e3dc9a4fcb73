using System.Text;
using System.Text.Json;
using TraceDistill.Data.Files;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using Xunit;

namespace TraceDistill.Data.Tests.Files;

public sealed class JsonFileTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"name":"n","parts":[{"text":"a","weights":[1,null]}],"by_name":{"x":null},"shape":{"k":[2]}}""")]
    [InlineData("""{"name":"n"}""")]
    public void Parse_NullWhereTheTypeHasIt_IsRead(string json) =>
        Assert.Equal("n", JsonFile.Parse<Whole>(Encoding.UTF8.GetBytes(json)).Name);

    [Theory]
    [InlineData("null", "it is null")]
    [InlineData("{}", "Name is null")]
    [InlineData("""{"name":null}""", "Name is null")]
    [InlineData("""{"name":"n","parts":null}""", "Parts is null")]
    [InlineData("""{"name":"n","parts":[{"text":"a"},null]}""", "Parts[1] is null")]
    [InlineData("""{"name":"n","parts":[{}]}""", "Parts[0].Text is null")]
    [InlineData("""{"name":"n","shape":{"k":null}}""", "Shape[k] is null")]
    public void Parse_NullWhereTheTypeHasNone_NamesThePlace(string json, string message) =>
        Assert.Equal(message, Assert.Throws<JsonException>(() => JsonFile.Parse<Whole>(Encoding.UTF8.GetBytes(json))).Message);

    [Fact]
    public void Parse_ListWithNull_IsRefused() =>
        Assert.Equal("[0] is null", Assert.Throws<JsonException>(() => JsonFile.Parse<List<Part>>("[null]"u8)).Message);

    [Fact]
    public void Write_NamesChoicesNumbersAndSigns_AreSpelledForPeopleAndReadBack()
    {
        var path = _folder.File("plain.json");
        var written = new Plain(PlainKind.TwoWords, double.NaN, "<think> ≤ é");

        JsonFile.Write(path, written);

        Assert.Equal(
            "{\n  \"kind_of\": \"two_words\",\n  \"measured\": \"NaN\",\n  \"said\": \"<think> ≤ é\"\n}\n",
            File.ReadAllText(path).ReplaceLineEndings("\n")
        );
        Assert.Equal(written, JsonFile.Read<Plain>(path));
    }

    [Fact]
    public void Read_Device_IsRefusedUnread()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "this system has no /dev/zero");

        Assert.Contains("/dev/zero: is a device", Assert.Throws<InvalidInputException>(() => JsonFile.Read<Whole>("/dev/zero")).Message);
    }

    [Fact]
    public void ReadAllBytes_FileOverTheLimit_IsRefused()
    {
        var path = _folder.File("large");
        File.WriteAllBytes(path, new byte[4097]);

        Assert.Equal(4097, InputFile.ReadAllBytes(path, 4097).Length);
        Assert.Contains("larger than 4 KiB", Assert.Throws<InvalidInputException>(() => InputFile.ReadAllBytes(path, 4096)).Message);
    }

    public sealed record Whole(string Name)
    {
        public IReadOnlyList<Part> Parts { get; init; } = [];

        public IReadOnlyDictionary<string, string?> ByName { get; init; } = new Dictionary<string, string?>();

        public IReadOnlyDictionary<string, IReadOnlyList<int>> Shape { get; init; } = new Dictionary<string, IReadOnlyList<int>>();
    }

    public enum PlainKind
    {
        Word,
        TwoWords,
    }

    public sealed record Plain(PlainKind KindOf, double Measured, string Said);

    public sealed record Part(string Text, IReadOnlyList<double?>? Weights = null);
}
