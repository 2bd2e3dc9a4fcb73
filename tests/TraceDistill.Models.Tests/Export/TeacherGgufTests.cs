using TraceDistill.Data.Generation;
using TraceDistill.Data.Problems;
using TraceDistill.Inference;
using TraceDistill.Models.Export;
using TraceDistill.Models.Export.Gguf;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Templates;
using TraceDistill.Text.Tokenizers;
using TraceDistill.Training.Alignment;
using Xunit;

namespace TraceDistill.Models.Tests.Export;

/// <summary>
/// The embedded teacher in every mixture, judged by llama.cpp on worked solutions of problems that it was not trained on.
/// </summary>
public sealed class TeacherGgufTests : IDisposable
{
    static readonly string Teacher = Path.Combine(TestPaths.RepositoryRoot, "data", "teacher");

    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Run_EveryMixture_KeepsPerplexityAndChatsInLlamaCpp()
    {
        var chat = new ChatSequence(Tokenizer.Load(Teacher), ChatTemplate.Load(Teacher));
        var problems = ProblemGenerator.Generate([ProblemGenerator.AllFamilies], 12, seed: 11, ProblemSplit.HeldOut);
        var sequences = problems.Select(chat.FromSolution).ToList();
        var mixtures = Enum.GetValues<GgufQuantization>();

        var answers = LlamaCpp.Ask(
            mixtures.Select(mixture =>
            {
                GgufExport.Run(
                    new ExportSource(Teacher),
                    _folder.File($"{mixture}.gguf"),
                    "teacher",
                    mixture,
                    TestContext.Current.CancellationToken
                );
                return new LlamaCppRequest
                {
                    File = _folder.File($"{mixture}.gguf"),
                    Scored = [.. sequences.Select(sequence => sequence.Ids)],
                    Chat = problems[0].Text,
                };
            })
        );

        var perplexity = mixtures.Zip(answers, (mixture, answer) => (mixture, Perplexity(answer, sequences))).ToDictionary();
        TestContext.Current.TestOutputHelper!.WriteLine(
            string.Join(
                ", ",
                perplexity.Select(entry => $"{entry.Key} {entry.Value / perplexity[GgufQuantization.F32] - 1:+0.000%;-0.000%}")
            )
        );
        Assert.InRange(perplexity[GgufQuantization.F32], 1, 1.3);
        AssertWithin(GgufQuantization.F16, 0.001);
        AssertWithin(GgufQuantization.BF16, 0.001); // as the weights are stored
        AssertWithin(GgufQuantization.Q8_0, 0.01);
        AssertWithin(GgufQuantization.Q6_K, 0.02);
        AssertWithin(GgufQuantization.Q4_K_M, 0.05);
        AssertWithin(GgufQuantization.Q4_0, 0.1);

        using var ours = LocalGenerator.Load(Teacher);
        var expected = await ours.GenerateAsync(
            new GenerationRequest(
                "chat",
                [new ChatMessage("user", problems[0].Text)],
                new SamplingSettings { Temperature = 0, MaxTokens = 320 }
            ),
            TestContext.Current.CancellationToken
        );
        Assert.All(answers, answer => Assert.Equal(expected.Text, answer.Answer));

        void AssertWithin(GgufQuantization mixture, double share) =>
            Assert.InRange(perplexity[mixture] / perplexity[GgufQuantization.F32], 1 - share, 1 + share);
    }

    /// <summary>Of the tokens that a student is trained on.</summary>
    static double Perplexity(LlamaCppAnswer answer, List<TraceTokens> sequences) =>
        Math.Exp(
            sequences.Zip(answer.Logprobs).SelectMany(pair => pair.Second.Skip(pair.First.FirstTrained - 1)).Average(logprob => -logprob)
        );
}
