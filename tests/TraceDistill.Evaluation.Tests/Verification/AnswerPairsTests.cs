using System.Text.Json;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification;

/// <summary>Pairs of an expected and a given answer whose verdict people gave.</summary>
public sealed class AnswerPairsTests
{
    [Theory]
    [InlineData("answer-pairs.tsv", "So \\boxed{…}.", 0.05)]
    [InlineData("answer-pairs-held-out.tsv", "So \\boxed{…}.", 0.05)]
    [InlineData("answer-texts.tsv", "…", 0.05)]
    [InlineData("answer-sentences.tsv", "…", 0.12)]
    public void Verify_PairsWrittenByHand_HasNoFalseCorrectAndFewMisses(string file, string frame, double mostUnverified)
    {
        var path = Path.Combine(TestPaths.RepositoryRoot, "tests", "TraceDistill.Evaluation.Tests", "Verification", "Data", file);
        var pairs = File.ReadLines(path).Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split('\t')).ToList();
        var verdicts = pairs
            .Select(pair =>
                (
                    IsEqual: pair[0] == "=",
                    Expected: pair[1],
                    Given: pair[2],
                    Verdict: Verify(frame.Replace("…", pair[2]).Replace('⏎', '\n'), pair[1])
                )
            )
            .ToList();
        var (equal, other) = (verdicts.Where(pair => pair.IsEqual).ToList(), verdicts.Where(pair => !pair.IsEqual).ToList());

        Assert.True(equal.Count >= 150 && other.Count >= 100, "too few pairs");
        Assert.DoesNotContain(other, pair => pair.Verdict == Verdict.Correct);
        Assert.True(Share(equal, Verdict.Incorrect) <= 0.02, string.Join('\n', equal.Where(pair => pair.Verdict == Verdict.Incorrect)));
        Assert.True(
            Share(equal, Verdict.Unverified) <= mostUnverified,
            string.Join('\n', equal.Where(pair => pair.Verdict == Verdict.Unverified))
        );

        static double Share(List<(bool, string, string, Verdict Verdict)> pairs, Verdict verdict) =>
            (double)pairs.Count(pair => pair.Verdict == verdict) / pairs.Count;
    }

    /// <summary>
    /// Trouble that people reported about other graders. Two rows take a side where people differ: a percentage equals the number with
    /// and without its sign, and a number in words within a sentence is not taken for certain.
    /// </summary>
    [Fact]
    public void Verify_ReportedCases_HasTheVerdictThatWasRight()
    {
        var wrong = new List<string>();
        foreach (var line in File.ReadLines(TestPaths.SharedData("../cases/grading.jsonl")))
        {
            using var row = JsonDocument.Parse(line);
            string Field(string name) => row.RootElement.GetProperty(name).GetString()!;
            var verdict = Verify(Field("text"), Field("gold"));
            var isRight = Field("right") switch
            {
                "P" or "C" => verdict == Verdict.Correct,
                "N" => verdict != Verdict.Correct,
                _ => verdict != Verdict.Incorrect,
            };
            if (!isRight)
            {
                wrong.Add($"{verdict}: {line}");
            }
        }

        Assert.Empty(wrong);
    }

    static Verdict Verify(string text, string expected) =>
        MathVerifier.Instance.Verify(
            text,
            new Problem
            {
                Id = "x",
                Family = "f",
                Text = "?",
                Answer = expected,
            }
        );
}
