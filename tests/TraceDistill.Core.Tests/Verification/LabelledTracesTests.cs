using System.Text.Json;
using TraceDistill.Core.Problems;
using TraceDistill.Core.Verification;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Core.Tests.Verification;

public sealed class LabelledTracesTests
{
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
            var problem = new Problem { Id = "x", Family = "gsm8k", Text = "?", Answer = truth[(truth.LastIndexOf("A: ", StringComparison.Ordinal) + 3)..] };
            foreach (var trace in Models.Select(model => record.RootElement.GetProperty(model)))
            {
                var verdict = MathVerifier.Instance.Verify(trace.GetProperty("solution").GetString(), problem);
                traces++;
                correct += verdict == Verdict.Correct ? 1 : 0;
                if (verdict != (trace.GetProperty("is_correct").GetBoolean() ? Verdict.Correct : Verdict.Incorrect))
                    disagreements.Add($"expected {problem.Answer}, {verdict}: {trace.GetProperty("solution").GetString()}");
            }
        }

        Assert.Equal(5276, traces);
        Assert.True(disagreements.Count == 0, $"{disagreements.Count}:\n{string.Join('\n', disagreements.Take(20))}");
        Assert.Equal(2001, correct);
    }
}
