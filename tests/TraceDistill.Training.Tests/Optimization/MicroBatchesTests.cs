using System.Text.Json;
using TraceDistill.Models.Operations;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Optimization;
using Xunit;

namespace TraceDistill.Training.Tests.Optimization;

public class MicroBatchesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(37)]
    [InlineData(200)]
    public void Cut_SequencesOfManyLengths_HoldsEachOnceAndKeepsToTheLimit(int count)
    {
        var random = new Random(5);
        int[] lengths = [.. Enumerable.Range(0, count).Select(_ => random.Next(1, 230))];

        var pieces = MicroBatches.Cut(lengths, 500);

        Assert.Equal(Enumerable.Range(0, count), pieces.SelectMany(piece => piece).Order());
        Assert.All(pieces, piece => Assert.InRange(piece.Sum(sequence => lengths[sequence]), 1, 500));
    }

    /// <summary>Two workers, or four, have an equal share each.</summary>
    [Theory]
    [InlineData(16, 1)]
    [InlineData(17, 2)]
    [InlineData(40, 4)]
    [InlineData(100, 8)]
    [InlineData(300, 32)]
    public void Cut_EqualSequences_MakesANumberOfPiecesThatSharesEvenly(int sequences, int expected) =>
        Assert.Equal(expected, MicroBatches.Cut([.. Enumerable.Repeat(64, sequences)], 1_024).Count);

    [Fact]
    public void Cut_SequenceLongerThanTheLimit_StandsAlone()
    {
        var pieces = MicroBatches.Cut([100, 900, 120], 250);

        Assert.Equal([1], Assert.Single(pieces, piece => piece.Contains(1)));
    }

    [Fact]
    public void CutByLength_SequencesOfManyLengths_PutsLikeOnesTogetherWithinTheLimit()
    {
        var pieces = MicroBatches.CutByLength([10, 90, 11, 80, 300, 12, 95], 200);

        Assert.Equal(
            [
                [0, 2, 3, 5],
                [1, 6],
                [4],
            ],
            pieces
        );
    }

    /// <summary>
    /// Worked solutions of 5,276 problems by models, as long as Llama 3.2's tokenizer has them, in updates of 32,768 tokens:
    /// attention takes several sequences at a time, and of the slots that it computes at least 97 in 100 hold a token.
    /// </summary>
    [Fact]
    public void CutByLength_RealSolutions_FillsAttentionsSlots()
    {
        var tokenizer = Tokenizer.Load(TestPaths.SharedData("tokenizers/llama-3.2"));
        int[] lengths =
        [
            .. File.ReadLines(TestPaths.SharedData("gsm8k/example_model_solutions.jsonl"))
                .SelectMany(line =>
                {
                    using var record = JsonDocument.Parse(line);
                    var question = tokenizer.Encode(record.RootElement.GetProperty("question").GetString()!).Length;
                    string[] models = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"];
                    return models
                        .Select(model =>
                            question + tokenizer.Encode(record.RootElement.GetProperty(model).GetProperty("solution").GetString()!).Length
                        )
                        .ToArray();
                }),
        ];
        new Random(1).Shuffle(lengths);
        var (slots, groups, tokens) = (0L, 0, 0L);
        for (var first = 0; first < lengths.Length; first += 200)
        {
            var update = lengths[first..Math.Min(first + 200, lengths.Length)];
            foreach (var piece in MicroBatches.CutByLength(update, 8_192))
            {
                int[] ofPiece = [.. piece.Select(sequence => update[sequence])];
                foreach (var group in LengthGroups.Cut(ofPiece))
                {
                    slots += (long)group.Count * ofPiece[group[0]];
                    tokens += group.Sum(sequence => ofPiece[sequence]);
                    groups++;
                }
            }
        }

        Assert.Equal(lengths.Sum(length => (long)length), tokens);
        Assert.InRange((double)tokens / slots, 0.97, 1);
        Assert.True(lengths.Length >= 6 * groups, $"{groups} groups of {lengths.Length} sequences");
    }
}
