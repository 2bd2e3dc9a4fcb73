using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.Teachers.Tests.Support;
using TraceDistill.Tests.Support;
using Xunit;

namespace TraceDistill.Cli.Tests.Progress;

public class MetricsLogTests
{
    [Fact]
    public void Append_OneStep_IsOneJsonLine()
    {
        using var folder = new TemporaryDirectory();
        using (var log = new MetricsLog(folder.File("metrics.jsonl"), new VirtualTime()))
        {
            log.Append("student", 5, new Dictionary<string, double> { ["loss"] = 0.25, ["bad"] = double.NaN });
        }

        Assert.Equal(
            """{"time":"2020-01-01T00:00:00+00:00","stage":"student","step":5,"values":{"loss":0.25,"bad":"NaN"}}""" + "\n",
            File.ReadAllText(folder.File("metrics.jsonl"))
        );
    }

    [Fact]
    public void Rewind_StageThatGoesOnFromACheckpoint_DropsItsLaterStepsAndATornLine()
    {
        using var folder = new TemporaryDirectory();
        var path = folder.File("metrics.jsonl");
        using (var log = new MetricsLog(path, new VirtualTime()))
        {
            foreach (
                var (stage, step, value) in new[]
                {
                    ("a", 1L, "loss"),
                    ("b", 1, "loss"),
                    ("a", 2, "loss"),
                    ("a", 2, "eval_loss"),
                    ("a", 3, "loss"),
                    ("b", 2, "loss"),
                }
            )
            {
                log.Append(stage, step, new Dictionary<string, double> { [value] = 1 });
            }
        }

        File.AppendAllText(path, "{\"time\":\"2026-01");
        using (var log = new MetricsLog(path, new VirtualTime()))
        {
            // The step was saved before its evaluation, which is made once more.
            log.Rewind("a", 2, ["eval_loss", "eval_kl"]);
            log.Append("a", 2, new Dictionary<string, double> { ["eval_loss"] = 2 });
        }

        Assert.Equal(
            [("a", 1L, "loss", 1.0), ("b", 1, "loss", 1), ("a", 2, "loss", 1), ("b", 2, "loss", 1), ("a", 2, "eval_loss", 2)],
            MetricsLog.Read(path).Select(line => (line.Stage, line.Step, line.Values.Single().Key, line.Values.Single().Value))
        );
    }
}
