using System.Diagnostics;
using TraceDistill.Cli.Tests.Support;
using TraceDistill.TestServer.Fuzzing;
using Xunit;

namespace TraceDistill.Cli.Tests;

/// <summary>
/// Every file that a command reads, damaged or no file at all: it is read, or refused in a line; it is never a bug, a hang or gigabytes.
/// </summary>
public sealed class HostileFilesTests(FinishedRun run) : IClassFixture<FinishedRun>
{
    const long MostBytes = 256 << 20;

    const int LongestLine = 20_000;

    /// <summary>A command that ends at all ends long before.</summary>
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    const string Evaluate = "evaluate --model teacher --problems problems/held_out.jsonl --limit 1 --max-tokens 2";

    const string Render = "inspect traces --rendered --tokenizer teacher";

    /// <summary>Collects into the folder of the traces, where all are.</summary>
    const string Collect =
        "generate --problems problems/train.jsonl --serve teacher --prompt Reasoning/Solve "
        + "--max-tokens 12 --top-logprobs 5 --seed 5 --concurrency 4 --out traces";

    const string Plan = "run ../recipe.yaml --out . --plan";

    [Theory(Timeout = 120_000)]
    [InlineData("teacher/tokenizer.json", Render, 200)]
    [InlineData("teacher/tokenizer_config.json", Render, 200)]
    [InlineData("teacher/config.json", Evaluate, 40)]
    [InlineData("teacher/generation_config.json", Evaluate, 40)]
    [InlineData("teacher/model.safetensors", Evaluate, 20)]
    [InlineData("student/task.json", "evaluate --model student --problems problems/held_out.jsonl --limit 1 --max-tokens 2", 60)]
    [InlineData("problems/held_out.jsonl", Evaluate, 80)]
    [InlineData("traces/manifest.json", "inspect traces", 150)]
    [InlineData("traces/train-00000-of-00001.parquet", "inspect traces", 80)]
    [InlineData(
        "traces/task.json",
        "evaluate --model teacher --traces traces --problems problems/held_out.jsonl --limit 1 --max-tokens 2",
        30
    )]
    [InlineData("traces/manifest.json", Collect, 60)]
    [InlineData("traces/.options.json", Collect, 60)]
    [InlineData("traces/.usage.json", Collect, 60)]
    [InlineData("problems/train.jsonl", Collect, 100)]
    [InlineData("../recipe.yaml", Plan, 200)]
    [InlineData("teacher/stage.json", Plan, 100)]
    [InlineData("scores/evaluation.json", "report .", 100)]
    [InlineData("metrics.jsonl", "report .", 60)]
    public async Task Command_DamagedFile_ReadsItOrRefusesItInALine(string file, string command, int inputs)
    {
        var path = run.At(file);
        var good = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        var isJson = Path.GetExtension(path).StartsWith(".json", StringComparison.Ordinal);
        try
        {
            for (var input = 0; input < inputs; input++)
            {
                TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
                await File.WriteAllBytesAsync(
                    path,
                    isJson && input % 2 == 0 ? DamagedJson.Of(good, input) : Mutation.Of(good, (ulong)input),
                    TestContext.Current.CancellationToken
                );
                await CheckAsync(command, $"input {input} of {file}");
            }
        }
        finally
        {
            await File.WriteAllBytesAsync(path, good, CancellationToken.None);
        }

        Assert.True(await run.RunAsync(command) == 0, run.Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("teacher/tokenizer.json", Render)]
    [InlineData("teacher/tokenizer_config.json", Render)]
    [InlineData("teacher/config.json", Evaluate)]
    [InlineData("teacher/generation_config.json", Evaluate)]
    [InlineData("teacher/model.safetensors", Evaluate)]
    [InlineData("student/task.json", "evaluate --model student --problems problems/held_out.jsonl --limit 1 --max-tokens 2")]
    [InlineData("problems/held_out.jsonl", Evaluate)]
    [InlineData("traces/manifest.json", "inspect traces")]
    [InlineData("traces/train-00000-of-00001.parquet", "inspect traces")]
    [InlineData("../recipe.yaml", Plan)]
    [InlineData("teacher/chat_template.jinja", Render)]
    [InlineData("teacher/model.safetensors.index.json", Evaluate)]
    [InlineData("given", "evaluate --config given")]
    [InlineData("given", "train --architecture given --out new")]
    [InlineData("given", Evaluate + " --few-shot given")]
    [InlineData("given", "generate --problems problems/train.jsonl --endpoint http://127.0.0.1:9 --model m --api-key-file given --out new")]
    [InlineData("given", "generate --problems problems/train.jsonl --endpoint http://127.0.0.1:9 --model m --batch-in given --out new")]
    [InlineData("prompt/skprompt.txt", Evaluate + " --prompt prompt")]
    [InlineData("corpus.txt", "tokenizer train --corpus corpus.txt --vocab-size 300 --out new")]
    public async Task Command_PipeInPlaceOfAFile_IsRefusedAtOnce(string file, string command)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pipes with names are made by mkfifo");
        var (path, aside) = (run.At(file), run.At("aside"));
        if (File.Exists(path))
        {
            File.Move(path, aside);
        }

        try
        {
            using (var mkfifo = Process.Start("mkfifo", [path]))
            {
                await mkfifo.WaitForExitAsync(TestContext.Current.CancellationToken);
            }

            var code = await Task.Run(() => run.RunAsync(command), TestContext.Current.CancellationToken)
                .WaitAsync(Limit, TestContext.Current.CancellationToken);

            Assert.True(code == 2, $"exit code {code}: {run.Error}");
            Assert.Contains("is a pipe", run.Error);
            Assert.Contains(Path.GetFileName(file), run.Error);
        }
        finally
        {
            File.Delete(path);
            if (File.Exists(aside))
            {
                File.Move(aside, path);
            }
        }
    }

    async Task CheckAsync(string command, string input)
    {
        var allocated = GC.GetTotalAllocatedBytes();
        var code = await run.RunAsync(command);

        var spent = GC.GetTotalAllocatedBytes() - allocated;
        Assert.True(code is 0 or 2 or 3, $"{input}: exit code {code}: {run.Error}");
        Assert.True(spent < MostBytes, $"{input}: {spent} bytes of memory: {run.Error}");
        Assert.True(
            code == 0 || run.Error.Contains("error: ", StringComparison.Ordinal),
            $"{input}: exit code {code} without a word: {run.Error}"
        );
        Assert.DoesNotContain(run.Error.Split('\n'), line =>
            line.Length > LongestLine || line.StartsWith("   at ", StringComparison.Ordinal)
        );
    }
}
