using TraceDistill.Training.Batching;
using Xunit;

namespace TraceDistill.Training.Tests.Batching;

/// <summary>Easy sequences first.</summary>
public sealed class CurriculumTests
{
    const int Steps = 400;

    static readonly int[][] Lengths = NumberedSequences.RandomLengths(groups: 20, rows: 40);

    static readonly Curriculum Course = new() { From = 0.05, Until = 0.75 };

    /// <summary>No two alike, and nothing to do with lengths.</summary>
    static readonly float[][] Difficulties = Distinct();

    [Theory]
    [InlineData(CurriculumPace.SquareRoot)]
    [InlineData(CurriculumPace.Linear)]
    public void ShareAt_AnyStep_IsThePapersCompetence(CurriculumPace pace)
    {
        var curriculum = new Curriculum
        {
            From = 0.01,
            Until = 0.5,
            Pace = pace,
        };

        foreach (var step in new[] { 0, 1, 50, 99, 100, 150 })
        {
            // Equations 6 and 7 of arXiv 1903.09848, T = 100 of 200 steps.
            var expected =
                pace == CurriculumPace.Linear
                    ? Math.Min(1, step * (1 - 0.01) / 100 + 0.01)
                    : Math.Min(1, Math.Sqrt(step * (1 - 0.01 * 0.01) / 100 + 0.01 * 0.01));
            Assert.Equal(expected, curriculum.ShareAt(step, 200), 1e-12);
        }

        Assert.Equal(1, (curriculum with { Until = 0 }).ShareAt(0, 200));
    }

    [Theory]
    [InlineData("length", Difficulty.Length)]
    [InlineData("pass_rate", Difficulty.PassRate)]
    [InlineData("entropy", Difficulty.Entropy)]
    public void TryParse_ADifficulty_IsACurriculumByIt(string text, Difficulty by)
    {
        Assert.True(Curriculum.TryParse(text, null, out var curriculum));
        Assert.Equal(new Curriculum { By = by }, curriculum);
        Assert.False(Curriculum.TryParse("1", null, out _));
        Assert.False(Curriculum.TryParse("depth", null, out _));
        Assert.False(Curriculum.TryParse("length,entropy", null, out _));
    }

    /// <summary>The order without a curriculum, gone through by hand and without what is too difficult at each batch.</summary>
    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(150)] // windows of some groups
    public void Batches_WithACurriculum_AreTheOrdinaryOrderWithoutWhatIsTooDifficult(int bufferSequences)
    {
        var all = Lengths.SelectMany((group, g) => group.Index().Where(row => row.Item > 0).Select(row => (g, row.Index))).ToArray();
        var ranks = all.OrderBy(row => Difficulties[row.g][row.Index]).Index().ToDictionary(row => row.Item, row => row.Index);

        var actual = Rows(Plan(bufferSequences).Batches()).Take(Steps).ToList();

        using var order = Rows(Plan(bufferSequences, course: null).Batches()).SelectMany(batch => batch).GetEnumerator();
        var (batch, tokens, expected) = (new List<(int, int)>(), 0, new List<(int, int)[]>());
        while (expected.Count < Steps)
        {
            order.MoveNext();
            var (group, row) = order.Current;
            while (ranks[(group, row)] >= Math.Max(1, Math.Ceiling(Course.ShareAt(expected.Count, Steps) * all.Length)))
            {
                order.MoveNext();
                (group, row) = order.Current;
            }

            if (batch.Count > 0 && tokens + Lengths[group][row] > 100)
            {
                expected.Add([.. batch]);
                (batch, tokens) = ([], 0);
            }

            batch.Add((group, row));
            tokens += Lengths[group][row];
        }

        Assert.Equal(expected, actual);
        // So that the course is gone through, and beyond it.
        Assert.All(actual[0], row => Assert.InRange(ranks[row], 0, all.Length / 20));
        Assert.Contains(actual[^50..].SelectMany(rows => rows), row => ranks[row] > all.Length * 9 / 10);
    }

    [Fact]
    public void Batches_ByLengthOfSeveralSets_AreTheShortestOfEachAtTheirSharesOfTheTokens()
    {
        SequenceSet[] sets = [new NumberedSequences(Lengths).Set(3), new NumberedSequences([Lengths[0], Lengths[1]]).Set(1)];

        var batches = new BatchPlan(sets, 100, seed: 2, shareAt: step => Course.ShareAt(step, Steps)).Batches().Take(Steps).ToList();

        var (drawn, total) = (0L, 0L);
        foreach (var (number, batch) in batches.Index())
        {
            foreach (var step in batch.Sequences)
            {
                var lengths = sets[step.Set].Groups.SelectMany(group => group.Lengths).Where(length => length > 0).Order().ToArray();
                var length = sets[step.Set].Groups[step.Group].Lengths[step.Row];
                // A batch that is full is known by the sequence behind it, which was looked for at the batch's own share.
                var longest = lengths[(int)Math.Max(1, Math.Ceiling(Course.ShareAt(number, Steps) * lengths.Length)) - 1];
                Assert.InRange(length, 2, longest);
                (drawn, total) = (drawn + (step.Set == 1 ? length : 0), total + length);
                Assert.InRange(drawn, (total / 4.0) - 80, (total / 4.0) + 80);
            }
        }
    }

    /// <summary>Equally difficult ones come in an order of their own, and not the first ones of the file first.</summary>
    [Fact]
    public void Batches_OfEquallyDifficultSequences_DrawFromAnyPartOfThem()
    {
        var set = new NumberedSequences([.. Enumerable.Repeat(Enumerable.Repeat(2, 50).ToArray(), 20)]).Set();

        var first = Rows(new BatchPlan([set], 200, seed: 1, shareAt: _ => 0.1).Batches()).First();

        Assert.InRange(first.Average(row => row.Group), 7, 12);
        Assert.Equal(100, first.Distinct().Count());
        Assert.NotEqual(first.Order(), Rows(new BatchPlan([set], 200, seed: 2, shareAt: _ => 0.1).Batches()).First().Order());
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(4, 0)]
    [InlineData(1, 57)]
    [InlineData(4, 150)]
    [InlineData(3, 333)]
    public void From_AnyNumberOfThreadsAndAnyUpdate_GivesThePlannedBatches(int threads, int update)
    {
        var batches = NumberedSequences
            .Names(new BatchStream(Plan(150), threads).From(update, TestContext.Current.CancellationToken))
            .Take(100);

        Assert.Equal(Rows(Plan(150).Batches()).Skip(update).Take(100), batches);
    }

    /// <summary>What is passed over is let go as what is used.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(7)]
    public void Batches_OfASetLargerThanTheBuffer_NeedNoMoreMemoryThanIt(int windowGroups)
    {
        var set = new NumberedSequences([.. Enumerable.Repeat(Enumerable.Repeat(2, 30).ToArray(), 50)]).Set();
        var (there, peak) = (new Dictionary<int, HashSet<int>>(), 0);

        foreach (
            var step in new BatchPlan([set], 50, 1, windowGroups * 30 * NumberedSequences.SequenceBytes, step => Course.ShareAt(step, 200))
                .Batches()
                .Take(300)
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
                case BatchStepKind.Take or BatchStepKind.Skip:
                    Assert.True(there[step.Group].Remove(step.Row));
                    break;
                default:
                    Assert.True(there.Remove(step.Group));
                    break;
            }
        }

        Assert.InRange(peak, windowGroups * 15, (windowGroups * 30 * 1.25) + 30);
    }

    /// <summary>
    /// The first batch draws from 1 % of the sequences, two of each window of four groups, and so passes over dozens of windows. One and a
    /// quarter are planned to be there at a time; each of the threads may hold what it has just read.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void From_ABatchThatPassesOverManyWindows_KeepsTheSequencesOfTheBufferAlone(int threads)
    {
        const int Rows = 30;
        var (most, alive) = (0, new Lock());
        NumberedSequences? sequences = null;
        sequences = new NumberedSequences([.. Enumerable.Repeat(Enumerable.Repeat(2, Rows).ToArray(), 200)], _ =>
        {
            lock (alive)
            {
                GC.Collect();
                most = Math.Max(most, sequences!.GivenOut.Count(sequence => sequence.IsAlive));
            }
        });
        var plan = new BatchPlan([sequences.Set()], 100, 1, 4 * Rows * NumberedSequences.SequenceBytes, _ => 0.01);

        var batch = new BatchStream(plan, threads).From(0, TestContext.Current.CancellationToken).First();

        Assert.Equal(50, batch.Count);
        Assert.True(sequences.Reads.Count > 80, $"{sequences.Reads.Count} groups were read");
        Assert.InRange(most, 1, (int)(4 * Rows * 1.25) + ((threads + 1) * Rows) + (3 * batch.Count));
    }

    static BatchPlan Plan(int bufferSequences, Curriculum? course) =>
        new(
            [new NumberedSequences(Lengths, difficulties: Difficulties).Set()],
            100,
            seed: 5,
            bufferSequences * NumberedSequences.SequenceBytes,
            course is null ? null : step => course.ShareAt(step, Steps)
        );

    static BatchPlan Plan(int bufferSequences) => Plan(bufferSequences, Course);

    static IEnumerable<(int Group, int Row)[]> Rows(IEnumerable<PlannedBatch> batches) =>
        batches.Select(batch => batch.Sequences.Select(step => (step.Group, step.Row)).ToArray());

    static float[][] Distinct()
    {
        var random = new Random(8);
        return [.. Lengths.Select(group => group.Select(_ => random.NextSingle()).ToArray())];
    }
}
