using System.Text.Json;
using System.Text.RegularExpressions;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Evaluation.Tests.Verification;

public sealed class LabelledTracesTests
{
    static readonly Regex CalculatorNotes = new("<<[^<>]*>>", RegexOptions.NonBacktracking);

    static readonly string[] Models = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"];

    [Fact]
    public void Verify_FiveThousandModelSolutionsOfGsm8k_AgreesWithTheirLabels()
    {
        var disagreements = new List<string>();
        var (traces, correct) = (0, 0);
        foreach (var line in File.ReadLines(TestPaths.SharedData("gsm8k/example_model_solutions.jsonl")))
        {
            using var record = JsonDocument.Parse(line);
            var truth = record.RootElement.GetProperty("ground_truth").GetString()!;
            var problem = new Problem
            {
                Id = "x",
                Family = "gsm8k",
                Text = "?",
                Answer = truth[(truth.LastIndexOf("A: ", StringComparison.Ordinal) + 3)..],
            };
            foreach (var trace in Models.Select(model => record.RootElement.GetProperty(model)))
            {
                var verdict = MathVerifier.Instance.Verify(trace.GetProperty("solution").GetString(), problem);
                traces++;
                correct += verdict == Verdict.Correct ? 1 : 0;
                if (verdict != (trace.GetProperty("is_correct").GetBoolean() ? Verdict.Correct : Verdict.Incorrect))
                {
                    disagreements.Add($"expected {problem.Answer}, {verdict}: {trace.GetProperty("solution").GetString()}");
                }
            }
        }

        Assert.Equal(5276, traces);
        Assert.True(disagreements.Count == 0, $"{disagreements.Count}:\n{string.Join('\n', disagreements.Take(20))}");
        Assert.Equal(2001, correct);
    }

    /// <summary>
    /// The same solutions without their last line, so that the last sentence has to tell. The labels judge the line: six that are
    /// labelled wrong conclude with the right number and end with another one.
    /// </summary>
    [Fact]
    public void Verify_ModelSolutionsWithoutTheAnswerLine_IsCorrectForThoseThatConcludeIt()
    {
        var verdicts = new Dictionary<(bool, Verdict), int>();
        foreach (var line in File.ReadLines(TestPaths.SharedData("gsm8k/example_model_solutions.jsonl")))
        {
            using var record = JsonDocument.Parse(line);
            var truth = record.RootElement.GetProperty("ground_truth").GetString()!;
            foreach (var trace in Models.Select(model => record.RootElement.GetProperty(model)))
            {
                var verdict = Verify(
                    trace.GetProperty("solution").GetString()!,
                    "\nA: ",
                    truth[(truth.LastIndexOf("A: ", StringComparison.Ordinal) + 3)..]
                );
                var key = (trace.GetProperty("is_correct").GetBoolean(), verdict);
                verdicts[key] = verdicts.GetValueOrDefault(key) + 1;
            }
        }

        Assert.InRange(verdicts.GetValueOrDefault((false, Verdict.Correct)), 0, 6);
        Assert.InRange(verdicts[(true, Verdict.Correct)], 1_960, 2_001);
        Assert.InRange(verdicts.GetValueOrDefault((true, Verdict.Incorrect)), 0, 15);
    }

    /// <summary>Reference solutions of people, whose last sentence ends in the answer in every way that people write.</summary>
    [Fact]
    public void Verify_ReferenceSolutionsWithoutTheAnswerLine_IsSeldomUnverifiedOrIncorrect()
    {
        var verdicts = new[] { "train", "test" }
            .SelectMany(split => File.ReadLines(TestPaths.SharedData($"gsm8k/{split}.jsonl")))
            .Select(line =>
            {
                using var record = JsonDocument.Parse(line);
                var solution = record.RootElement.GetProperty("answer").GetString()!;
                return Verify(solution, "####", solution[(solution.LastIndexOf("####", StringComparison.Ordinal) + 4)..].Trim());
            })
            .CountBy(verdict => verdict)
            .ToDictionary();

        Assert.Equal(8_792, verdicts.Values.Sum());
        Assert.InRange(verdicts[Verdict.Incorrect], 0, 8_792 / 100);
        Assert.InRange(verdicts[Verdict.Unverified], 0, 8_792 / 20);
    }

    /// <summary>The verdict on a solution up to its answer line, the calculator's notes left out.</summary>
    static Verdict Verify(string solution, string answerLine, string expected)
    {
        var end = solution.LastIndexOf(answerLine, StringComparison.Ordinal);
        var text = CalculatorNotes.Replace(end < 0 ? solution : solution[..end], "");
        return MathVerifier.Instance.Verify(
            text,
            new Problem
            {
                Id = "x",
                Family = "gsm8k",
                Text = "?",
                Answer = expected,
            }
        );
    }
}
