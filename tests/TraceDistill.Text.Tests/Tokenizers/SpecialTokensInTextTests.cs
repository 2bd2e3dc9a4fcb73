using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

public sealed class SpecialTokensInTextTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();
    readonly Tokenizer _tokenizer;

    public SpecialTokensInTextTests()
    {
        AddedToken[] added = [new("<|end|>"), new("</s>") { SingleWord = true }, new("<think>") { Special = false }];
        BpeTrainer.Train(["one and two"], 270, added, _directory.Path);
        _tokenizer = Tokenizer.Load(_directory.Path);
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Describe_PromptsWithAndWithout_CountsThoseWithAndNamesTheFirst()
    {
        var specials = new SpecialTokensInText(_tokenizer);
        specials.Look([new("user", "What is 1 + 1?")], "plain");
        specials.Look([new("system", "Be brief.<|end|>"), new("user", "What is 1 + 2?</s>")], "second");
        specials.Look([new("user", "<|end|>")], "third");

        Assert.StartsWith(
            "2 of 3 prompts have special tokens of the student in their text (<|end|> in problem second): ",
            specials.Describe("the student")
        );
    }

    [Fact]
    public void Describe_NoSpecialToken_SaysNothing()
    {
        var specials = new SpecialTokensInText(_tokenizer);
        specials.Look([new("user", "<|end and <think> and a</s>b")], "p");

        Assert.Null(specials.Describe("the student"));
    }

    /// <summary>What is told is what the tokenizer does: a text is named exactly where its ids have a special token among them.</summary>
    [Theory]
    [InlineData("1 + 1 <|end|> = 2")]
    [InlineData("1 + 1 </s> = 2")]
    [InlineData("a</s>b")]
    [InlineData("<think> of a number")]
    [InlineData("<|end |>")]
    public void SpecialTokenIn_AnyText_AgreesWithItsIds(string text) =>
        Assert.Equal(_tokenizer.Encode(text).Any(_tokenizer.IsSpecial), _tokenizer.SpecialTokenIn(text) is not null);
}
