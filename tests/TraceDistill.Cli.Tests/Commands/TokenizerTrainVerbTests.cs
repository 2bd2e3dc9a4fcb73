using TraceDistill.Cli.Commands;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Cli.Tests.Commands;

public sealed class TokenizerTrainVerbTests : IDisposable
{
    readonly CliHarness _cli = new() { Stages = [new TokenizerTrainVerb()] };

    public void Dispose() => _cli.Dispose();

    [Fact]
    public async Task Train_TextAndJsonLines_LearnsFromBoth()
    {
        var lines = _cli.Write("a.txt", string.Concat(Enumerable.Repeat("the cat sat on the mat\n\n", 20)));
        var records = _cli.Write("b.jsonl", string.Concat(Enumerable.Repeat("""{"content":"zwölf Boxkämpfer <think>"}""" + "\n", 20)));

        Assert.Equal(
            0,
            await _cli.RunAsync(
                "tokenizer",
                "train",
                "--corpus",
                $"{lines},{records}",
                "--field",
                "content",
                "--vocab-size",
                "285",
                "--out",
                _cli.File("tokenizer"),
                "--json"
            )
        );

        var tokenizer = Tokenizer.Load(_cli.File("tokenizer"));
        Assert.Equal(
            (285, 40L, tokenizer.Hash),
            ((int)_cli.Json["vocabulary_size"]!, (long)_cli.Json["texts"]!, (string)_cli.Json["hash"]!)
        );
        Assert.InRange(tokenizer.Encode("the cat sat").Length, 3, 6);
        Assert.InRange(tokenizer.Encode("zwölf Boxkämpfer").Length, 1, 9);
        Assert.Equal("<|user|>zwölf", tokenizer.Decode(tokenizer.Encode("<|user|>zwölf")));
        Assert.Contains("285 tokens learned from 40 texts of 980 bytes", _cli.Error);
    }

    [Fact]
    public async Task Train_SmallCorpus_SaysThatTheVocabularyIsSmaller()
    {
        Assert.Equal(
            0,
            await _cli.RunAsync(
                "tokenizer",
                "train",
                "--corpus",
                _cli.Write("a.txt", "ab ab\n"),
                "--vocab-size",
                "5000",
                "--out",
                _cli.File("tokenizer")
            )
        );

        Assert.Contains("the corpus has no more pairs to learn than that; give more text for 5,000", _cli.Error);
    }

    [Theory]
    [InlineData("a.jsonl", """{"txt":"x"}""", "a.jsonl, line 1: has no field 'text' with text; say which field holds it (--field)")]
    [InlineData("a.jsonl", "x", "a.jsonl, line 1: not a JSON object; each line holds one")]
    [InlineData("a.csv", "x", "a.csv: unknown format '.csv'; a corpus is of .txt or .jsonl files")]
    [InlineData("a.txt", "\n\n", "a.txt: holds no text")]
    public async Task Train_CorpusThatIsNone_IsToldByFileAndLine(string name, string content, string message)
    {
        Assert.Equal(2, await _cli.RunAsync("tokenizer", "train", "--corpus", _cli.Write(name, content), "--out", _cli.File("tokenizer")));

        Assert.Contains(message, _cli.Error);
        Assert.False(File.Exists(Path.Combine(_cli.File("tokenizer"), "tokenizer.json")));
    }

    [Theory]
    [InlineData(
        "error: unknown verb \"trian\"; did you mean \"train\"? (tracedistill tokenizer --help shows what is known)\n",
        "tokenizer",
        "trian"
    )]
    [InlineData(
        "error: unknown option --vocab-sise; did you mean \"--vocab-size\"? (tracedistill tokenizer train --help shows what is known)\n",
        "tokenizer",
        "train",
        "--vocab-sise",
        "3"
    )]
    public async Task Train_WrongUsage_IsTold(string expected, params string[] arguments)
    {
        Assert.Equal(2, await _cli.RunAsync(arguments));

        Assert.Equal(expected, _cli.Error.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Tokenizer_WithoutAVerb_ShowsHelp()
    {
        Assert.Equal(0, await _cli.RunAsync("tokenizer"));

        Assert.Contains("train", _cli.Out, StringComparison.Ordinal);
    }
}
