using System.Text.Json.Nodes;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Training.Tests.Alignment;

/// <summary>Students whose tokenizers are of kinds that are not read here.</summary>
public sealed class HostedStudentTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();
    readonly InProcessHost _host = new();

    public void Dispose()
    {
        _host.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public void CrossVocabulary_TokensWithoutBytesOfTheirOwn_AreRefusedByName()
    {
        var tokenizer = Load(HostedVocabularies.WordPiece());
        var teacher = Tokenizer.Load(Path.Combine(TestPaths.RepositoryRoot, "data", "teacher"));
        var chat = new ChatSequence(tokenizer, ChatTemplate.Parse("{{ messages[0].content }}", "template"));

        var refused = Assert.Throws<InvalidInputException>(() => new CrossVocabularyAligner(teacher, tokenizer, chat, topK: null));

        Assert.StartsWith($"{_directory.File("tokenizer.json")}: its decoder makes text of several tokens together", refused.Message);
    }

    /// <summary>As to any student: same bytes, else its own encoding.</summary>
    [Fact]
    public void VocabularyMap_UnigramStudent_SpellsTheTeachersTokens()
    {
        var teacher = Tokenizer.Load(Path.Combine(TestPaths.RepositoryRoot, "data", "teacher"));

        var map = new VocabularyMap(teacher, Load(HostedVocabularies.Unigram()), end: 2);

        Assert.Equal([8], map.Of(Id("s")).ToArray());
        Assert.Equal([6], map.Of(Id("Ġ")).ToArray());
        Assert.Empty(map.Of(Id("9")).ToArray());

        int Id(string token) => teacher.TryGetId(token, out var id) ? id : throw new ArgumentException(token);
    }

    Tokenizer Load(JsonObject json)
    {
        HostedVocabularies.Write(_directory, json);
        return Tokenizer.Load(_directory.Path, _host.Load);
    }
}
