using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using TraceDistill.Cli.Progress;
using TraceDistill.Cli.Recipes;
using TraceDistill.Data.Answers;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Files;
using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Evaluation;
using TraceDistill.Evaluation.Verification;
using TraceDistill.Text.Chat;

namespace TraceDistill.Cli.Tests.Reporting;

/// <summary>A run directory as the real writers leave it, of models whose answers are right with a known chance.</summary>
sealed class SyntheticRun(string directory)
{
    /// <summary>Stands in a problem and in traces: text that would be a script were it not escaped.</summary>
    public const string Hostile = "</script><script>alert('1 & 2')</script>";

    public string Directory { get; } = directory;

    DateTimeOffset _time = new(2026, 5, 4, 9, 0, 0, TimeSpan.Zero);

    /// <summary>Teacher, distilled student, baseline and untrained student, with traces, metrics and an evaluation of everything.</summary>
    public async Task WriteQuickstartAsync()
    {
        await File.WriteAllTextAsync(
            Path.Combine(Directory, "recipe.yaml"),
            """
            name: quickstart
            stages:
              problems: { do: problems, family: all, count: 5000, held_out: 1000, seed: 7 }
              traces: { do: generate, problems: problems/train.jsonl, serve: data/teacher, top_logprobs: 8, seed: 7 }
              student: { do: train, traces: traces, kd_alpha: 0.7, seed: 7 }
              baseline: { do: train, traces: traces, kd_alpha: 0.0, seed: 7 }
              scores:
                do: evaluate
                problems: problems/held_out.jsonl
                models: { teacher: data/teacher, student: student, baseline: baseline, untrained: student/initial }

            """
        );
        Finish("problems", "problems", 1.4, 0.21);
        await SyntheticTraces.WriteAsync(Folder("traces"));
        Finish("traces", "generate", 96.2, 0.74);
        SyntheticTraces.WriteTokenizer(Folder("student"));
        Finish("student", "train", 148.9, 1.36);
        Finish("baseline", "train", 131.5, 1.31);
        WriteLosses("student", kdAlpha: 0.7);
        WriteLosses("baseline", kdAlpha: 0);
        await EvaluateAsync(
            "scores",
            ("teacher", 0.982, 3_412_992),
            ("student", 0.934, 398_208),
            ("baseline", 0.884, 398_208),
            ("untrained", 0.004, 398_208)
        );
        Finish("scores", "evaluate", 41.7, 0.92);
    }

    /// <summary>Student and baseline over three seeds and two data sizes, the size set in a stage of its own.</summary>
    public async Task WriteAblationAsync()
    {
        var copies = (
            from seed in new[] { 1, 2, 3 }
            from limit in new[] { 500, 2000 }
            select (Seed: seed, Limit: limit, Suffix: $".{seed}.{limit}")
        ).ToList();
        var recipe = new StringBuilder("name: ablation\nstages:\n");
        foreach (var limit in new[] { 500, 2000 })
        {
            recipe.Append($"  subset.{limit}: {{ do: curate, traces: data/traces, limit: {limit} }}\n");
            Finish($"subset.{limit}", "curate", 0.6, 0.2);
        }

        foreach (var copy in copies)
        {
            recipe.Append($"  student{copy.Suffix}: {{ do: train, traces: subset.{copy.Limit}, kd_alpha: 0.7, seed: {copy.Seed} }}\n");
            recipe.Append($"  baseline{copy.Suffix}: {{ do: train, traces: subset.{copy.Limit}, kd_alpha: 0.0, seed: {copy.Seed} }}\n");
            Finish($"student{copy.Suffix}", "train", 30, 0.9);
            Finish($"baseline{copy.Suffix}", "train", 29, 0.9);
            WriteLosses($"student{copy.Suffix}", 0.7);
            WriteLosses($"baseline{copy.Suffix}", 0);
        }

        var models = copies
            .SelectMany(copy =>
                new[]
                {
                    (Name: $"student{copy.Suffix}", Chance: (copy.Limit == 500 ? 0.55 : 0.88) + 0.01 * copy.Seed, 398_208L),
                    (Name: $"baseline{copy.Suffix}", Chance: (copy.Limit == 500 ? 0.47 : 0.85) + 0.012 * copy.Seed, 398_208L),
                }
            )
            .ToArray();
        recipe.Append(
            $"  scores: {{ do: evaluate, problems: held_out.jsonl, models: "
                + $"{{ {string.Join(", ", models.Select(model => $"{model.Name}: {model.Name}"))} }} }}\n"
        );
        await File.WriteAllTextAsync(Path.Combine(Directory, "recipe.yaml"), recipe.ToString());
        await EvaluateAsync("scores", models);
        Finish("scores", "evaluate", 60, 0.8);
    }

    public string Folder(string stage) => System.IO.Directory.CreateDirectory(Path.Combine(Directory, stage)).FullName;

    /// <summary>Writes the manifest that makes a stage a finished one.</summary>
    public void Finish(string stage, string verb, double seconds, double gibibytes, object? summary = null)
    {
        _time = _time.AddSeconds(seconds);
        new StageManifest
        {
            Stage = stage,
            Verb = verb,
            Fingerprint = "0123",
            ProgramVersion = "0.1.0",
            FinishedAt = _time,
            Seconds = seconds,
            PeakMemoryBytes = (long)(gibibytes * (1L << 30)),
            Inputs = [],
            Outputs = [],
            Summary = JsonSerializer.SerializeToNode(summary, JsonFile.Document),
        }.Write(Folder(stage));
    }

    void WriteLosses(string stage, double kdAlpha)
    {
        using var log = new MetricsLog(Path.Combine(Directory, "metrics.jsonl"), TimeProvider.System);
        for (var step = 10; step <= 1500; step += 10)
        {
            var noise = 0.03 * (Chance($"{stage}{step}") - 0.5);
            var (hard, soft) = (
                0.31 + 5.6 * Math.Exp(-step / 90.0) + noise,
                0.04 + 0.1 * (1 - kdAlpha) + 5.1 * Math.Exp(-step / 80.0) + noise / 2
            );
            var values = new Dictionary<string, double>
            {
                ["loss"] = kdAlpha * soft + (1 - kdAlpha) * hard,
                ["loss_ce"] = hard,
                ["learning_rate"] = 1e-3,
            };
            if (kdAlpha > 0)
            {
                values["loss_kd"] = soft;
            }

            log.Append(stage, step, values);
        }
    }

    async Task EvaluateAsync(string stage, params (string Name, double Chance, long Parameters)[] models)
    {
        var problems = ProblemGenerator.Generate(["all"], models.Length < 6 ? 480 : 240, seed: 3, ProblemSplit.HeldOut);
        var options = new EvaluateOptions
        {
            Problems = "problems/held_out.jsonl",
            Samples = models.Length < 6 ? 4 : 0,
            SampledProblems = 120,
            Seed = 7,
            Concurrency = 4,
        };
        var evaluator = new Evaluator(options, MathVerifier.Instance, Folder(stage), SilentObserver.Instance, TimeProvider.System);
        var answers = problems.DistinctBy(problem => problem.Text).ToDictionary(problem => problem.Text, problem => problem.Answer);
        await evaluator.EvaluateAsync(
            models
                .Select(model => new EvaluatedModel
                {
                    Name = model.Name,
                    Generator = new ChancyModel(model.Name, model.Chance, answers),
                    Asked = new AskedAs("Reasoning/Solve", (problem, _) => [new ChatMessage("user", problem.Text)], 512),
                    Parameters = model.Parameters,
                    Scorer = models.Length < 6 ? new ChancyScorer(model.Name, model.Chance) : null,
                })
                .ToAsyncEnumerable(),
            problems,
            []
        );
    }

    /// <summary>A number in [0, 1) that depends on the text alone.</summary>
    public static double Chance(string text) =>
        BitConverter.ToUInt32(SHA256.HashData(Encoding.UTF8.GetBytes(text))) / (uint.MaxValue + 1.0);

    sealed class ChancyModel(string name, double chance, Dictionary<string, string> answers) : ITextGenerator
    {
        public Task<GenerationResult> GenerateAsync(GenerationRequest request, CancellationToken cancellationToken = default)
        {
            var question = request.Messages[^1].Content;
            var luck = Chance($"{name} {question} {(request.Sampling.Temperature > 0 ? request.Sampling.Seed : 0)}");
            var ability = Math.Clamp(chance + 0.12 * (Chance(question) - 0.5), 0, 1);
            var answer = luck < ability ? answers[question] : $"{(int)(1000 * luck)}";
            var tokens = 40 + (int)(60 * Chance(question + "length"));
            var logprob = (float)(Math.Log(0.35 + 0.64 * ability) / tokens * (0.2 + 1.6 * luck));
            return Task.FromResult(
                new GenerationResult
                {
                    Reasoning = "",
                    Answer = answer,
                    Text = answer,
                    FinishReason = luck > 0.995 ? "length" : "stop",
                    CompletionTokens = tokens,
                    Logprobs = new TokenLogprobs
                    {
                        K = 0,
                        TokenIds = new int[tokens],
                        Logprobs = [.. Enumerable.Repeat(logprob, tokens)],
                        TopIds = [],
                        TopLogprobs = [],
                    },
                }
            );
        }
    }

    sealed class ChancyScorer(string name, double chance) : ITraceScorer
    {
        public IEnumerable<TokenScore[]> Score(IEnumerable<Data.Traces.Trace> traces, CancellationToken cancellationToken = default) =>
            Enumerable
                .Range(0, 80)
                .Select(trace =>
                    Enumerable
                        .Range(0, 70)
                        .Select(token =>
                        {
                            var confidence = 0.2 + 0.8 * Math.Pow(Chance($"{name} {trace} {token}"), 1 - chance);
                            var isTop = Chance($"{name} {trace} {token} hit") < 0.05 + 0.93 * confidence;
                            return new TokenScore(
                                0.02 / (chance + 0.05) * Chance($"{trace} {token}"),
                                Math.Log(isTop ? confidence : 1 - 0.99 * confidence),
                                confidence,
                                isTop
                            );
                        })
                        .ToArray()
                );
    }
}
