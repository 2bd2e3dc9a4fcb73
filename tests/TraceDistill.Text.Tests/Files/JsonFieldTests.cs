using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using Xunit;

namespace TraceDistill.Text.Tests.Files;

public sealed class JsonFieldTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    string FilePath => _folder.File("f.json");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_EveryKindOfValue_IsThereByItsName()
    {
        var root = Read(
            """
            {"text": "日", "integer": -3, "number": 0.5, "flag": true, "list": [1, 2], "inner": {"deep": "x"}, "nothing": null}
            """
        );

        Assert.Equal("日", root["text"].Text());
        Assert.Equal(-3, root["integer"].Integer());
        Assert.Equal((0.5, -3), (root["number"].Number(), root["integer"].Number()));
        Assert.True(root["flag"].Boolean());
        Assert.Equal([1, 2], root["list"].Integers());
        Assert.Equal([-3], root["integer"].Integers());
        Assert.Equal("x", root["inner"]["deep"].Text());
        Assert.Equal(["text", "integer", "number", "flag", "list", "inner", "nothing"], root.Entries().Select(entry => entry.Name));
    }

    [Fact]
    public void Find_AbsentAndNull_AreNullAndToldApartByHas()
    {
        var root = Read("""{"nothing": null}""");

        Assert.Null(root.Find("nothing"));
        Assert.Null(root.Find("absent"));
        Assert.True(root.Has("nothing"));
        Assert.False(root.Has("absent"));
        Assert.True(root.Boolean("absent", absent: true));
    }

    /// <summary>A value of the wrong kind, at every depth, with its path from the root.</summary>
    [Fact]
    public void Value_OfAnotherKind_IsNamedAndShown()
    {
        var root = Read("""{"model": {"vocab": [], "merges": [["a", 1]], "size": 4294967296}, "flag": "yes"}""");

        Refused("model.vocab is [] but must be a string", () => root["model"]["vocab"].Text());
        Refused("model.merges[0][1] is 1 but must be a string", () => root["model"]["merges"].Items().Single().Items().Last().Text());
        Refused("model.size is 4294967296 but must be a 32-bit integer", () => root["model"]["size"].Integer());
        Refused("flag is \"yes\" but must be true or false", () => root.Boolean("flag", absent: false));
        Refused("flag is \"yes\" but must be a number", () => root["flag"].Number());
        Refused("flag is \"yes\" but must be an object", () => root["flag"].Find("x"));
        Refused("flag is \"yes\" but must be an array", () => _ = root["flag"].Items().ToList());
        Refused("the field model.kind is missing", () => root["model"]["kind"].Text());
        Refused("model.vocab is [] but must be an object", () => root.Entries().First().Value["vocab"].Find("x"));
    }

    [Fact]
    public void Root_ThatIsNoObject_IsCalledTheFile() =>
        Refused("the file is [1,2] but must be an object", () => Read("[ 1,\n2 ]").Find("x"));

    [Fact]
    public void Shown_LongValueWithBreaks_IsTheBeginningInOneLine()
    {
        var shown = Read($$"""{"a": "{{new string('x', 1_000)}}"}""")["a"].Shown;

        Assert.Equal($"\"{new string('x', 79)}…", shown);
        Assert.Equal("{\"b\":[1]}", Read("{\"a\": {\n  \"b\": [\n 1]}}")["a"].Shown);
    }

    [Fact]
    public void Word_TextOfOneLine_IsItself_AndAnythingElseIsShown()
    {
        var root = Read("""{"word": "llama", "lines": "a\nb", "number": 1.50}""");

        Assert.Equal(["llama", "\"a\\nb\"", "1.50"], root.Entries().Select(entry => entry.Value.Word()));
    }

    [Fact]
    public void Read_FileThatIsNoJson_NamesLineAndByte() =>
        Assert.Equal(
            $"{FilePath}, line 2, byte 6: not valid JSON; fetch or export the file again",
            Assert.Throws<InvalidInputException>(() => Read("{\n\"a\": NaN}")).Message
        );

    [Fact]
    public void Read_FieldThatIsThereTwice_IsRefusedByName()
    {
        var message = Assert.Throws<InvalidInputException>(() => Read("""{"a": {"scale": 1, "scale": 2}}""")).Message;

        Assert.StartsWith($"{FilePath}: not valid JSON: ", message, StringComparison.Ordinal);
        Assert.Contains("scale", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData("""{"a": "\ud800"}""")]
    [InlineData("""{"a": 1, "\ud800": 2}""")]
    public void Read_HalfOfASurrogatePair_IsRefusedWithItsLine(string json) =>
        Assert.StartsWith(
            $"{FilePath}:1: a string holds half of a surrogate pair",
            Assert.Throws<InvalidInputException>(() => Read(json)).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void Read_FileThatIsNotThere_IsRefused() =>
        Assert.StartsWith(
            $"{FilePath} does not exist",
            Assert.Throws<InvalidInputException>(() => JsonField.Read(FilePath)).Message,
            StringComparison.Ordinal
        );

    JsonField Read(string json)
    {
        File.WriteAllText(FilePath, json);
        return JsonField.Read(FilePath);
    }

    void Refused(string message, Action read) => Assert.Equal($"{FilePath}: {message}", Assert.Throws<InvalidInputException>(read).Message);
}
