using TraceDistill.Cli.Binding;
using TraceDistill.Cli.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Binding;

public sealed class SettingNameTests
{
    static readonly ConfigMap Given = new(
        SourceLocation.CommandLine,
        [
            new ConfigEntry("text", new SourceLocation("--text"), new ConfigScalar(new SourceLocation("--text"), "x")),
            new ConfigEntry(
                "stopped_by",
                new SourceLocation("options.yaml", 2, 1),
                new ConfigScalar(new SourceLocation("options.yaml", 2, 13), "y")
            ),
        ]
    );

    [Theory]
    [InlineData("text: is bad", "--text: is bad")]
    [InlineData("stopped_by: is bad", "options.yaml:2:13: stopped_by: is bad")]
    [InlineData("stopped_by[1].x: is bad", "options.yaml:2:13: stopped_by[1].x: is bad")]
    [InlineData("seed: would have to be there", "--seed: would have to be there")]
    [InlineData("text: one\nseed: two", "--text: one\n--seed: two")]
    [InlineData("shard: no setting", "shard: no setting")]
    [InlineData("text of it: no setting", "text of it: no setting")]
    [InlineData("the file x.txt: text: is bad", "the file x.txt: text: is bad")]
    public void InMessage_KeyAtTheBeginning_IsNamedAsItWasGiven(string message, string expected) =>
        Assert.Equal(expected, SettingName.InMessage(message, typeof(WriteOptions), Given));
}
