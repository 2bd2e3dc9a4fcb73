using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Files;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Files;

public sealed class GitLfsPointerTests : IDisposable
{
    const string Pointer =
        "version https://git-lfs.github.com/spec/v1\noid "
        + "sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nsize 7031673\n";
    readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Load_TokenizerThatIsAPointer_IsNamedAsOne()
    {
        var file = _directory.File("tokenizer.json");
        File.WriteAllText(file, Pointer);

        Assert.Equal(Message(file), Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.Path)).Message);
    }

    [Fact]
    public void Load_ChatTemplateThatIsAPointer_IsNamedAsOne()
    {
        BpeTrainer.Train(["What is two and two?"], 262, [new AddedToken("<|stop|>")], _directory.Path);
        var file = _directory.File("chat_template.jinja");
        File.WriteAllText(file, Pointer);

        Assert.Equal(Message(file), Assert.Throws<InvalidInputException>(() => Tokenizer.Load(_directory.Path)).Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("version")]
    [InlineData("{\"version\": \"1.0\"}")]
    public void Refuse_AnyOtherFile_DoesNotMind(string content)
    {
        var file = _directory.File("other");
        File.WriteAllText(file, content);

        GitLfsPointer.Refuse(file);
    }

    static string Message(string file) =>
        $"{file}: a Git LFS pointer in place of the file itself; run 'git lfs pull' in its repository, or download the file";
}
