using TraceDistill.Data.Problems;
using Xunit;

namespace TraceDistill.Data.Tests.Problems;

public sealed class ProblemSearchTests
{
    [Fact]
    public void Draw_EqualSearches_GiveEqualProblemsAndNoneTwice()
    {
        var (first, second) = (Search(), Search());
        var counts = Even(first, 20);

        var drawn = first.Draw(counts).Concat(first.Draw(counts)).ToList();

        Assert.Equal(drawn, second.Draw(counts).Concat(second.Draw(counts)));
        Assert.Equal(40 * first.Arms.Count, drawn.Select(row => row.Problem.Id).Distinct().Count());
        Assert.Equal(drawn.Select(row => first.Arms[row.Arm].Family), drawn.Select(row => row.Problem.Family));
        Assert.NotEqual(drawn, Search(seed: 2).Draw(counts).Concat(Search(seed: 2).Draw(counts)));
    }

    /// <summary>A problem is one whatever its wording is, and those that a student is measured by are never among them.</summary>
    [Fact]
    public void Draw_ManyProblems_AskDifferentThingsAndNoneOfTheHeldOutSide()
    {
        var search = Search(["addition"]);
        var heldOut = ProblemGenerator.Generate(["addition"], 3_000, 5, ProblemSplit.HeldOut).Select(CanonicalQuestion.Of).ToHashSet();

        var drawn = search.Draw(Even(search, 500)).Select(row => CanonicalQuestion.Of(row.Problem)).ToList();

        Assert.Equal(drawn.Count, drawn.Distinct().Count());
        Assert.DoesNotContain(drawn, heldOut.Contains);
    }

    [Fact]
    public void Draw_ProblemsThatAreTaken_DoNotCome()
    {
        var search = Search(["modular"], isTaken: problem => problem.Text.Contains("what", StringComparison.Ordinal));

        Assert.DoesNotContain(search.Draw(Even(search, 100)), row => row.Problem.Text.Contains("what", StringComparison.Ordinal));
    }

    /// <summary>What comes of a family does not depend on how much is asked of others.</summary>
    [Fact]
    public void Draw_OtherShares_LeaveAFamilysStreamAsItIs()
    {
        var (even, all) = (Search(["sorting", "clock"]), Search(["sorting", "clock"]));
        int[] only = [.. all.Arms.Select(arm => arm.Family == "clock" ? 30 : 0)];

        Assert.Equal(even.Draw(Even(even, 30)).Where(row => row.Problem.Family == "clock"), all.Draw(only));
    }

    [Theory]
    [InlineData("addition")]
    [InlineData("sorting")]
    [InlineData("story4")]
    public void Draw_HigherLevels_HaveLongerSolutions(string family)
    {
        var search = Search([family]);
        Assert.Equal([1, 2, 3], search.Arms.Select(arm => arm.Level));

        var lengths = search.Draw(Even(search, 100)).ToLookup(row => row.Arm, row => row.Problem.Solution!.Length);

        Assert.True(lengths[0].Max() < lengths[1].Min() && lengths[1].Max() < lengths[2].Min());
    }

    [Fact]
    public void Draw_FamilyWithFewProblems_GivesFewer()
    {
        var left = 50;
        var search = Search(["comparison"], isTaken: _ => left-- <= 0);

        Assert.Equal(50, search.Draw(Even(search, 100)).Count);
    }

    [Theory]
    [InlineData(10, new[] { 0.5, 0.3, 0.2 }, new[] { 5, 3, 2 })]
    [InlineData(10, new[] { 0.55, 0.25, 0.2 }, new[] { 6, 2, 2 })]
    [InlineData(1, new[] { 0.2, 0.45, 0.35 }, new[] { 0, 1, 0 })]
    [InlineData(0, new[] { 1.0 }, new[] { 0 })]
    public void Apportion_Shares_GivesTheLargestRemainders(int count, double[] shares, int[] expected) =>
        Assert.Equal(expected, ProblemSearch.Apportion(shares, count, seed: 3, round: 1));

    /// <summary>
    /// Ten problems over 36 arms of equal share: each arm is drawn from in 10 of 36 rounds, within five standard deviations of the binomial
    /// distribution, and in no round twice.
    /// </summary>
    [Fact]
    public void Apportion_FewerProblemsThanArms_DrawsFromEachAsOften()
    {
        const int Arms = 36,
            Each = 10,
            Draws = 2_000;
        double[] shares = [.. Enumerable.Repeat(1.0 / Arms, Arms)];
        var of = new int[Arms];
        for (var round = 1; round <= Draws; round++)
        {
            var counts = ProblemSearch.Apportion(shares, Each, seed: 5, round);
            Assert.Equal(Each, counts.Count(count => count == 1));
            Assert.Equal(Each, counts.Sum());
            foreach (var arm in Enumerable.Range(0, Arms))
            {
                of[arm] += counts[arm];
            }
        }

        const double Chance = (double)Each / Arms;
        var deviation = Math.Sqrt(Draws * Chance * (1 - Chance));
        Assert.All(of, count => Assert.InRange(count, (Draws * Chance) - (5 * deviation), (Draws * Chance) + (5 * deviation)));
    }

    [Fact]
    public void Apportion_EqualShares_AreDrawnBySeedAndRound()
    {
        double[] shares = [.. Enumerable.Repeat(1.0 / 20, 20)];

        Assert.Equal(ProblemSearch.Apportion(shares, 10, seed: 1, round: 2), ProblemSearch.Apportion(shares, 10, seed: 1, round: 2));
        Assert.NotEqual(ProblemSearch.Apportion(shares, 10, seed: 1, round: 2), ProblemSearch.Apportion(shares, 10, seed: 1, round: 3));
        Assert.NotEqual(ProblemSearch.Apportion(shares, 10, seed: 1, round: 2), ProblemSearch.Apportion(shares, 10, seed: 2, round: 2));
    }

    /// <summary>0.8 · (0.3 · share + 0.7 · best / 4) + 0.2 / 3.</summary>
    [Fact]
    public void Move_Best_TakesTheSharesToThem()
    {
        var moved = ProblemSearch.Move([0.5, 0.25, 0.25], [3, 1, 0], exploration: 0.2);

        double[] expected =
        [
            (0.8 * ((0.3 * 0.5) + (0.7 * 0.75))) + (0.2 / 3),
            (0.8 * ((0.3 * 0.25) + (0.7 * 0.25))) + (0.2 / 3),
            (0.8 * 0.3 * 0.25) + (0.2 / 3),
        ];
        Assert.Equal(expected, moved, (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.Equal(1, moved.Sum(), 1e-12);
        Assert.Equal([0.5, 0.5], ProblemSearch.Move([0.5, 0.5], [0, 0], 0));
    }

    /// <summary>A student that is wrong at one family's hardest level alone: four rounds find it among 36 places.</summary>
    [Fact]
    public void Move_OnePlaceOfDisagreement_IsFound()
    {
        var search = Search(["all"]);
        var wanted = search.Arms.Index().Single(arm => arm.Item == new ProblemArm("modular", 3)).Index;
        var random = new Random(1);
        double[] shares = [.. search.Arms.Select(_ => 1.0 / search.Arms.Count)];
        for (var round = 0; round < 4; round++)
        {
            var best = search
                .Draw(ProblemSearch.Apportion(shares, 400, seed: 1, round))
                .OrderByDescending(row => (row.Arm == wanted ? 1 : 0) + random.NextDouble())
                .Take(100)
                .CountBy(row => row.Arm)
                .ToDictionary();
            shares = ProblemSearch.Move(shares, [.. search.Arms.Select((_, arm) => best.GetValueOrDefault(arm))], 0.2);
        }

        Assert.True(shares[wanted] > 0.5, $"{shares[wanted]:0.00}");
        Assert.All(shares, share => Assert.True(share >= 0.2 / search.Arms.Count));
    }

    static ProblemSearch Search(string[]? families = null, long seed = 1, Func<Problem, bool>? isTaken = null) =>
        new(families ?? ["addition", "sorting"], levels: 3, seed, isTaken ?? (_ => false));

    static int[] Even(ProblemSearch search, int each) => [.. search.Arms.Select(_ => each)];
}
