using Microsoft.ML.Tokenizers;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Text.Tokenizers.Pieces;
using Xunit;

namespace TraceDistill.Text.Tests.Tokenizers.Pieces;

public class BytePairMergerTests
{
    [Fact]
    public void Apply_RandomPieces_GivesWhatMicrosoftsTokenizerGives()
    {
        var definition = TokenizerFile.Read(Path.Combine(TestPaths.SharedData("tokenizers/gpt2"), "tokenizer.json"));
        var spellings = definition.Vocabulary.ToDictionary(token => token.Value, token => token.Key);
        var reference = BpeTokenizer.Create(
            new BpeOptions(definition.Vocabulary)
            {
                Merges = definition.Merges.Select(merge => $"{spellings[merge.Left]} {spellings[merge.Right]}"),
            }
        );
        var merger = new BytePairMerger(new MergeTable(definition.Merges));
        var random = new Random(4);
        for (var i = 0; i < 2000; i++)
        {
            var piece = string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => "Ġetaonihsrdlu,.ÃŁ"[random.Next(16)]));
            var tokens = new List<PieceToken>();
            merger.Apply([.. piece.Select(character => new PieceToken(definition.Vocabulary[character.ToString()], 1))], tokens);
            Assert.Equal(
                reference.EncodeToIds(piece, considerPreTokenization: false, considerNormalization: false),
                tokens.Select(token => token.Id)
            );
            Assert.Equal(tokens.Select(token => spellings[token.Id].Length), tokens.Select(token => token.Length));
        }
    }

    [Fact]
    public void Apply_EqualRanksInARun_MergesFromTheLeft()
    {
        var merger = new BytePairMerger(new MergeTable([(0, 0, 1), (1, 0, 2)]));
        var tokens = new List<PieceToken>();
        merger.Apply([.. Enumerable.Repeat(new PieceToken(0, 1), 5)], tokens);
        Assert.Equal([new(1, 2), new(2, 3)], tokens);
    }
}
