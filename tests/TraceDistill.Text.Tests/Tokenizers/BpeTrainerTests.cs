using System.Globalization;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers;

public class BpeTrainerTests
{
    static readonly AddedToken[] Added = [new("<|end|>"), new("<think>") { Special = false }];

    [Fact]
    public void Train_HandComputableCorpus_MergesTheMostFrequentPairsFirst()
    {
        using var directory = new TemporaryDirectory();
        BpeTrainer.Train(["ab", " abc", " abc", "abc"], 256 + 3 + Added.Length, Added, directory.Path);
        var tokenizer = Tokenizer.Load(directory.Path);

        // Four times a-b, then three times ab-c, then twice space-abc.
        Assert.Equal(["ab", "abc", " abc", "<|end|>", "<think>"], Enumerable.Range(256, 5).Select(id => tokenizer.Decode([id])));
        Assert.Equal([258, 257, 256, 260, 259], tokenizer.Encode(" abcabcab<think><|end|>"));
    }

    [Fact]
    public void Train_EqualCounts_PrefersTheSmallerIds()
    {
        using var directory = new TemporaryDirectory();
        BpeTrainer.Train(["xy", "ab"], 257, [], directory.Path);
        Assert.Equal("ab", Tokenizer.Load(directory.Path).Decode([256]));
    }

    [Fact]
    public void Train_NumbersInTheCorpus_LeavesEveryDigitAloneAndItsSpaceToo()
    {
        using var directory = new TemporaryDirectory();
        BpeTrainer.Train(
            Enumerable.Range(0, 2000).Select(i => string.Create(CultureInfo.InvariantCulture, $"What is {i} + {i * 7} = {i * 8}?\n")),
            400,
            Added,
            directory.Path
        );
        var tokenizer = Tokenizer.Load(directory.Path);
        Assert.Equal(
            ["What", " is", " ", "1", "2", " +", " ", "3"],
            tokenizer.Encode("What is 12 + 3").Select(id => tokenizer.Decode([id]))
        );
        Assert.All(Enumerable.Range(0, tokenizer.VocabularySize).Select(id => tokenizer.Decode([id])), token =>
            Assert.False(token.Length > 1 && token.Any(char.IsDigit))
        );
    }

    [Fact]
    public void Train_SameCorpus_WritesTheSameBytes()
    {
        using var directory = new TemporaryDirectory();
        var files = new List<byte[]>();
        foreach (var _ in Enumerable.Range(0, 2))
        {
            BpeTrainer.Train(["one two three", "two three four", "aaaa aaaaa aaaaaaa"], 280, Added, directory.Path);
            files.Add(File.ReadAllBytes(directory.File("tokenizer.json")));
        }

        Assert.Equal(files[0], files[1]);
    }

    [Fact]
    public void Train_CorpusWithTooFewPairs_GivesASmallerVocabulary()
    {
        using var directory = new TemporaryDirectory();
        BpeTrainer.Train(["ab"], 1000, Added, directory.Path);
        Assert.Equal(256 + 1 + Added.Length, Tokenizer.Load(directory.Path).VocabularySize);
    }
}
