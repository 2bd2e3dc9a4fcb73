using System.Text.Json;
using System.Text.RegularExpressions;
using TraceDistill.Data.Problems;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Data.Tests.Problems;

public sealed partial class ProblemGeneratorTests
{
    public static TheoryData<string> Families => [.. ProblemGenerator.FamilyNames];

    [Theory, MemberData(nameof(Families))]
    public void Answer_OfAThousandProblems_IsThatOfAnIndependentSolver(string family)
    {
        foreach (var problem in Sample(family, 1000))
        {
            Assert.True(IndependentSolver.Solve(family, problem.Text) == problem.Answer, $"{problem.Text} => {problem.Answer}");
        }
    }

    /// <summary>By the words before each number.</summary>
    [Theory]
    [InlineData("story2")]
    [InlineData("story4")]
    public void Spans_OfAThousandStories_SayWhatEachNumberIsFor(string family)
    {
        foreach (var problem in Sample(family, 1000))
        {
            Assert.Equal(
                Regex
                    .Matches(problem.Text, "[0-9]+")
                    .Select(number => (number.Index, number.Index + number.Length, RoleOf(problem.Text[..number.Index]))),
                problem.Spans.Select(span => (span.Start, span.End, span.Label))
            );
        }

        static string RoleOf(string before) =>
            before.Split('.')[^1] is var sentence && sentence.EndsWith("with ", StringComparison.Ordinal) ? "size"
            : sentence.Contains(" has ", StringComparison.Ordinal) ? "start"
            : new[] { "gives", "sells", "loses" }.Any(verb => sentence.Contains(verb, StringComparison.Ordinal)) ? "loss"
            : "gain";
    }

    [Theory, MemberData(nameof(Families))]
    public void Solution_OfAThousandProblems_StatesOnlyTrueArithmetic(string family)
    {
        var claims = 0;
        foreach (var problem in Sample(family, 1000))
        {
            var (count, wrong) = ArithmeticClaims.Check(problem.Solution!);
            Assert.True(wrong.Count == 0, $"{string.Join("; ", wrong)} in: {problem.Solution}");
            claims += count;
        }

        Assert.True(family == "sorting" || claims > 2000, $"only {claims} claims found");
    }

    [Theory, MemberData(nameof(Families))]
    public void Solution_Always_ReachesTheAnswer(string family) => Assert.All(Sample(family, 300), problem =>
        {
            var stated = Numbers(problem.Solution!).ToHashSet();
            Assert.All(Numbers(problem.Answer), number => Assert.Contains(number, stated));
        });

    [Theory, MemberData(nameof(Families))]
    public void Solution_OfManyProblems_NamesTheAnswerLastInSomeAndNotInOthers(string family) =>
        Assert.InRange(
            Sample(family, 300)
                .Count(problem => Regex.IsMatch(problem.Solution!, $@"(we get|answer is|result is) {Regex.Escape(problem.Answer)}\.$")),
            50,
            150
        );

    [Theory, MemberData(nameof(Families))]
    public void Lengths_OfAThousandProblems_SuitASmallModel(string family)
    {
        var problems = Sample(family, 1000);
        var lengths = problems.Select(problem => Length(problem.Solution!)).ToArray();
        Assert.InRange(lengths.Average(), 45, 115);
        Assert.True(lengths.Count(length => length > 160) <= 10);
        Assert.All(problems, problem => Assert.InRange(Length(problem.Text), 5, 45));
    }

    [Fact]
    public void Lengths_OverAllFamilies_AverageBetween60And95() =>
        Assert.InRange(
            ProblemGenerator.Generate(["all"], 6000, 2, ProblemSplit.Train).Average(problem => Length(problem.Solution!)),
            60,
            95
        );

    [Fact]
    public void Wording_OverAllFamilies_KeepsToASmallVocabularyOfPlainText()
    {
        var text = string.Join(
            '\n',
            ProblemGenerator.Generate(["all"], 6000, 3, ProblemSplit.Train).Select(p => $"{p.Text}\n{p.Solution}\n{p.Answer}")
        );
        Assert.Matches(@"^[a-z0-9 .,:?<>=+*/()\n-]+$", text);
        Assert.DoesNotContain("  ", text);
        Assert.InRange(Regex.Matches(text, "[a-z]+").Select(match => match.Value).Distinct().Count(), 60, 250);
    }

    [Theory, MemberData(nameof(Families))]
    public void Phrasing_OfOneFamily_HasSeveralQuestionsWithUnequalWeights(string family)
    {
        var counts = Sample(family, 2000)
            .GroupBy(problem => Regex.Replace(problem.Text, @"\d+", "#"))
            .Select(group => group.Count())
            .OrderDescending()
            .ToArray();
        Assert.True(counts.Length >= 4);
        Assert.True(counts[0] > 1.3 * counts[^1]);
    }

    [Theory, MemberData(nameof(Families))]
    public void Solutions_OfOneProblem_ChooseAgainAndAgain(string family)
    {
        var masked = Sample(family, 2000).Select(problem => Regex.Replace(problem.Solution!, @"\d+", "#").Split(' ')).ToArray();
        foreach (var position in new[] { 0, 10, 20, 30 })
        {
            Assert.True(masked.Where(words => words.Length > position).Select(words => words[position]).Distinct().Count() >= 2);
        }
        Assert.True(masked.Select(words => string.Join(' ', words)).Distinct().Count() > 1000);
    }

    [Theory, MemberData(nameof(Families))]
    public void Splits_OfManySeeds_NeverShareAKey(string family)
    {
        var train = Enumerable
            .Range(0, 4)
            .SelectMany(seed => ProblemGenerator.Stream([family], seed, ProblemSplit.Train).Take(3000))
            .Select(CanonicalQuestion.Of)
            .ToHashSet();
        var heldOut = Enumerable
            .Range(0, 4)
            .SelectMany(seed => ProblemGenerator.Stream([family], seed, ProblemSplit.HeldOut).Take(300))
            .Select(CanonicalQuestion.Of);
        Assert.DoesNotContain(heldOut, train.Contains);
    }

    [Fact]
    public void HeldOutShare_OfManyKeys_IsOneInSixteen()
    {
        var held = Enumerable.Range(0, 16_000).Count(i => ProblemSplits.Of("addition", $"{i} {i + 7}") == ProblemSplit.HeldOut);
        Assert.InRange(held, 850, 1150);
    }

    [Fact]
    public void Generate_WithTheSameSeed_GivesTheSameProblemsAndALargerSetExtendsThem()
    {
        var first = ProblemGenerator.Generate(["all"], 240, 7, ProblemSplit.Train);
        Assert.Equal(Told(first), Told(ProblemGenerator.Generate(["all"], 480, 7, ProblemSplit.Train).Take(240)));
        Assert.NotEqual(Told(first), Told(ProblemGenerator.Generate(["all"], 240, 8, ProblemSplit.Train)));
        Assert.Equal(Told(first.Where(p => p.Family == "clock")), Told(ProblemGenerator.Generate(["clock"], 20, 7, ProblemSplit.Train)));

        static IEnumerable<string> Told(IEnumerable<Problem> problems) => problems.Select(problem => JsonSerializer.Serialize(problem));
    }

    [Fact]
    public void Generate_OverAllFamilies_IsBalancedAndDistinct()
    {
        var problems = ProblemGenerator.Generate(["all"], 2400, 1, ProblemSplit.HeldOut);
        Assert.All(problems.GroupBy(problem => problem.Family), group => Assert.Equal(200, group.Count()));
        Assert.Equal(2400, problems.Select(problem => problem.Id).Distinct().Count());
        Assert.Equal(2400, problems.Select(problem => (problem.Family, CanonicalQuestion.Of(problem))).Distinct().Count());
    }

    [Theory, MemberData(nameof(Families))]
    public void Texts_OfOneFamily_NumberMoreThanTwentyThousand(string family)
    {
        var random = new Random(5);
        var source = ProblemGenerator.Families.Single(candidate => candidate.Name == family);
        var texts = new HashSet<string>();
        for (var draws = 0; texts.Count <= 20_000; draws++)
        {
            Assert.True(draws < 100_000, $"only {texts.Count} texts in {draws} draws");
            texts.Add(source.Draw(random).Text);
        }
    }

    /// <summary>
    /// Sets of four and five two-digit numbers, ascending or descending: 2 · (C(90, 4) + C(90, 5)) = 93,008,916 questions.
    /// </summary>
    [Fact]
    public void Keys_OfSortingAlone_NumberMoreThanTenMillion()
    {
        var random = new Random(6);
        var source = ProblemGenerator.Families.Single(candidate => candidate.Name == "sorting");
        var five = Enumerable
            .Range(0, 200_000)
            .Select(_ => source.Draw(random).Key)
            .Where(key => key.Count(c => c == ' ') == 5)
            .Take(20_000);
        Assert.True(LowerBoundOfDistinct(five) > 10_000_000);
    }

    [Fact]
    public void Generate_WithAnUnknownFamily_NamesTheNearest()
    {
        var error = Assert.Throws<InvalidInputException>(() => ProblemGenerator.Generate(["adition"], 5, 1, ProblemSplit.Train));
        Assert.Contains("did you mean \"addition\"?", error.Message);
        Assert.Contains(
            "story4",
            Assert.Throws<InvalidInputException>(() => ProblemGenerator.Generate(["geometry"], 5, 1, ProblemSplit.Train)).Message
        );
        Assert.Throws<InvalidInputException>(() => ProblemGenerator.Generate([], 5, 1, ProblemSplit.Train));
        Assert.Throws<InvalidInputException>(() => ProblemGenerator.Stream(["clocks"], 1, ProblemSplit.Train));
    }

    [Fact]
    public void Generate_MoreThanAFamilyHolds_SaysSo()
    {
        var error = Assert.Throws<InvalidInputException>(() =>
            ProblemGenerator.Generate(["multiplication"], 5000, 1, ProblemSplit.HeldOut)
        );
        Assert.Contains("multiplication", error.Message);
    }

    static IReadOnlyList<Problem> Sample(string family, int count) =>
        [.. ProblemGenerator.Stream([family], 11, ProblemSplit.Train).Take(count)];

    /// <summary>Words, digits and punctuation marks.</summary>
    static int Length(string text) => Tokens().Count(text);

    /// <summary>n draws with c repeats come from at least about n² / 2(c + 3√c + 3) values, however unevenly they are drawn.</summary>
    static double LowerBoundOfDistinct(IEnumerable<string> draws)
    {
        var counts = draws.GroupBy(draw => draw).Select(group => group.Count()).ToArray();
        double n = counts.Sum();
        var collisions = counts.Sum(count => count * (count - 1.0) / 2);
        return n * n / (2 * (collisions + 3 * Math.Sqrt(collisions) + 3));
    }

    static IEnumerable<int> Numbers(string text) => Regex.Matches(text, @"\d+").Select(match => int.Parse(match.Value));

    [GeneratedRegex(@"[a-z]+|\d|[^\sa-z\d]")]
    private static partial Regex Tokens();
}
