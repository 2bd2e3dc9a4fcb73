using FsCheck;
using FsCheck.Xunit;
using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

public sealed class BatchPlanTests
{
    [Property(MaxTest = 100)]
    public void Batches_OfThreeEpochs_HoldEverySequenceOnceAnEpochWithinTheLimit(
        NonEmptyArray<PositiveInt> sizes,
        PositiveInt limit,
        PositiveInt buffer,
        int seed
    )
    {
        var groups = sizes.Get.Select(size => size.Get).Chunk(3).ToArray();
        BatchPlan Plan() => new([new NumberedSequences(groups).Set()], limit.Get, seed, buffer.Get * NumberedSequences.SequenceBytes);
        var all = groups.SelectMany((group, index) => group.Index().Select(row => (index, row.Index))).ToArray();

        var batches = Plan().Batches().Take((3 * all.Length) + 1).ToList();
        var order = batches.SelectMany(Rows).Take(3 * all.Length).ToList();

        Assert.All(batches, batch => Assert.Equal(batch.Tokens, Rows(batch).Sum(row => groups[row.Group][row.Row])));
        Assert.All(batches, batch => Assert.True(Rows(batch).Count() == 1 || batch.Tokens <= limit.Get));
        Assert.All(order.Chunk(all.Length), epoch => Assert.Equal(all, epoch.Order()));
        Assert.Equal(batches.Select(batch => batch.Steps), Plan().Batches().Take(batches.Count).Select(batch => batch.Steps));
    }

    [Fact]
    public void Batches_OtherEpochsAndSeeds_HaveOtherOrders()
    {
        var set = new NumberedSequences([
            [.. Enumerable.Repeat(2, 50)],
        ]).Set();
        var epochs = new BatchPlan([set], 100, seed: 3).Batches().Take(2).Select(batch => Rows(batch).ToArray()).ToArray();

        Assert.NotEqual(epochs[0], epochs[1]);
        Assert.NotEqual(epochs[0], Rows(new BatchPlan([set], 100, seed: 4).Batches().First()));
        Assert.NotEqual(epochs[0].Order(), epochs[0]);
    }

    /// <summary>
    /// The order of shuffling as a whole: neighbours in the file are as far apart as chance has them, n / 3 on the average.
    /// </summary>
    [Fact]
    public void Batches_OfASetThatFitsIntoTheBuffer_AreMixedAcrossAllGroups()
    {
        var set = new NumberedSequences([.. Enumerable.Repeat(Enumerable.Repeat(2, 50).ToArray(), 20)]).Set();

        var order = new BatchPlan([set], 2, seed: 1)
            .Batches()
            .Take(1_000)
            .SelectMany(Rows)
            .Select(row => (row.Group * 50) + row.Row)
            .ToArray();

        var places = order.Index().OrderBy(place => place.Item).Select(place => place.Index).ToArray();
        Assert.InRange(places.Zip(places.Skip(1), (a, b) => Math.Abs(a - b)).Average(), 1_000 / 3.0 * 0.9, 1_000 / 3.0 * 1.1);
    }

    /// <summary>Groups come in another order each epoch, and those of one window are mixed with each other.</summary>
    [Fact]
    public void Batches_OfASetLargerThanTheBuffer_ReadGroupsInANewOrderAndMixThoseOfAWindow()
    {
        var set = new NumberedSequences([.. Enumerable.Repeat(Enumerable.Repeat(2, 30).ToArray(), 12)]).Set();

        var steps = new BatchPlan([set], 60, seed: 1, bufferBytes: 3 * 30 * NumberedSequences.SequenceBytes)
            .Batches()
            .Take(24)
            .SelectMany(batch => batch.Steps)
            .ToArray();

        var order = steps.Where(IsSequence).Select(step => step.Group).ToArray();
        var windows = order.Chunk(90).Select(window => window.Distinct().Order().ToArray()).ToArray();
        Assert.All(windows, window => Assert.Equal(3, window.Length));
        Assert.All(windows.Chunk(4), epoch => Assert.Equal(Enumerable.Range(0, 12), epoch.SelectMany(window => window).Order()));
        Assert.NotEqual(windows[..4], windows[4..]);
        // 2/3 by chance
        Assert.All(order.Chunk(90), window => Assert.InRange(window.Zip(window.Skip(1), (a, b) => a == b ? 0.0 : 1).Average(), 0.5, 0.8));
    }

    /// <summary>
    /// Before a sequence is used its group is read, and it is let go after the last one; what
    /// is in memory stays within the buffer and a group beside it.
    /// </summary>
    [Theory]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(40)]
    [Trait("Mistake", "all logprobs loaded into memory")]
    public void Batches_OfASetLargerThanTheBuffer_NeedNoMoreMemoryThanIt(int windowGroups)
    {
        var set = new NumberedSequences([.. Enumerable.Repeat(Enumerable.Repeat(2, 30).ToArray(), 50)]).Set();
        var (there, peak) = (new Dictionary<int, HashSet<int>>(), 0);

        foreach (
            var step in new BatchPlan([set], 50, seed: 1, windowGroups * 30 * NumberedSequences.SequenceBytes)
                .Batches()
                .Take(200)
                .SelectMany(batch => batch.Steps)
        )
        {
            switch (step.Kind)
            {
                case BatchStepKind.Load:
                    there.Add(step.Group, [.. Enumerable.Range(0, 30)]);
                    peak = Math.Max(peak, there.Values.Sum(rows => rows.Count));
                    break;
                case BatchStepKind.Use:
                    Assert.Contains(step.Row, there[step.Group]);
                    break;
                case BatchStepKind.Take:
                    Assert.True(there[step.Group].Remove(step.Row));
                    break;
                default:
                    Assert.True(there.Remove(step.Group));
                    break;
            }
        }

        Assert.InRange(peak, windowGroups * 15, (windowGroups * 30 * 1.25) + 30);
    }

    /// <summary>Reading a group has the time of several batches: only those of the first window are needed at once.</summary>
    [Fact]
    public void Batches_OfASetLargerThanTheBuffer_ReadGroupsWellBeforeTheyAreNeeded()
    {
        var set = new NumberedSequences(NumberedSequences.RandomLengths(groups: 20, rows: 40)).Set();
        var (read, distances) = (new Dictionary<int, int>(), new List<int>());

        foreach (
            var (index, batch) in new BatchPlan([set], 100, seed: 5, bufferBytes: 150 * NumberedSequences.SequenceBytes)
                .Batches()
                .Take(300)
                .Index()
        )
        {
            foreach (var step in batch.Steps)
            {
                if (step.Kind == BatchStepKind.Load)
                {
                    read[step.Group] = index;
                }
                else if (IsSequence(step) && read.Remove(step.Group, out var before) && before > 0)
                {
                    distances.Add(index - before);
                }
            }
        }

        Assert.Equal(35, distances.Count, 10.0);
        Assert.All(distances, distance => Assert.InRange(distance, 5, 40));
    }

    /// <summary>Ten sequences of five tokens, two a batch: five batches an epoch.</summary>
    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 10)]
    [InlineData(0.25, 2)]
    [InlineData(1.01, 6)]
    public void UpdatesOf_Epochs_AreEnoughToHoldAllSequencesThatOften(double epochs, int batches) =>
        Assert.Equal(
            batches,
            new BatchPlan(
                [
                    new NumberedSequences([
                        [5, 5, 5, 5, 5],
                        [5, 5, 5, 5, 5],
                    ]).Set(),
                ],
                10,
                seed: 3
            ).UpdatesOf(epochs)
        );

    /// <summary>Each set has its share of the tokens at any time, and begins anew when it was gone through.</summary>
    [Fact]
    public void Batches_OfSeveralSets_HaveTheirSharesOfTheTokens()
    {
        SequenceSet[] sets =
        [
            new NumberedSequences(NumberedSequences.RandomLengths(4, 50)).Set(3),
            new NumberedSequences([
                [7, 7, 7],
            ]).Set(1),
        ];

        var lengths = new BatchPlan(sets, 100, seed: 1)
            .Batches()
            .Take(200)
            .SelectMany(batch => batch.Sequences)
            .Select(step => (step.Set, Length: sets[step.Set].Groups[step.Group].Lengths[step.Row]))
            .ToList();

        var (drawn, total) = (new long[2], 0L);
        foreach (var (set, length) in lengths)
        {
            (drawn[set], total) = (drawn[set] + length, total + length);
            Assert.InRange(drawn[1], (total / 4.0) - 40, (total / 4.0) + 40);
        }

        Assert.True(drawn[1] > 100 * 21);
    }

    static IEnumerable<(int Group, int Row)> Rows(PlannedBatch batch) => batch.Sequences.Select(step => (step.Group, step.Row));

    static bool IsSequence(BatchStep step) => step.Kind is BatchStepKind.Use or BatchStepKind.Take;
}
