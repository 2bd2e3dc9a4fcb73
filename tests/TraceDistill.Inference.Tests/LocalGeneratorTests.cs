using TraceDistill.Data.Generation;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Tokenizers;
using Xunit;

namespace TraceDistill.Inference.Tests;

public sealed class LocalGeneratorTests : IDisposable
{
    readonly TemporaryDirectory _directory = new();

    public LocalGeneratorTests()
    {
        BpeTrainer.Train(["the cat sat"], 260, [new AddedToken("<|end|>"), new AddedToken("</think>")], _directory.Path);
        File.WriteAllText(
            _directory.File("tokenizer_config.json"),
            """{"eos_token": "<|end|>", "chat_template": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"}"""
        );
        using var parameters = TinyModel.Create(TinyModel.Awkward with { VocabSize = 260, EosTokenIds = [] });
        ModelDirectory.Save(_directory.Path, parameters);
    }

    [Fact]
    public async Task GenerateAsync_AConversation_GoesThroughTemplateAndTokenizer()
    {
        var tokenizer = Tokenizer.Load(_directory.Path);
        using var generator = LocalGenerator.Load(_directory.Path, new EngineOptions { Threads = 1, CacheBytes = 4 << 20 });
        var end = tokenizer.EndOfSequenceIds.Single();
        var finishReasons = new HashSet<string>();
        for (var seed = 0; seed < 100 && finishReasons.Count < 2; seed++)
        {
            var sampling = new SamplingSettings
            {
                MaxTokens = 100,
                Seed = seed,
                TopLogprobs = 3,
            };
            var result = await generator.GenerateAsync(
                new GenerationRequest("one", [new ChatMessage("user", "the cat")], sampling),
                TestContext.Current.CancellationToken
            );

            var ids = result.Logprobs!.TokenIds;
            Assert.Equal(tokenizer.Encode("<user>the cat"), result.PromptTokenIds);
            Assert.Equal(tokenizer.Decode(ids.Where(id => id != end).ToArray()), result.Text);
            Assert.Equal(result.FinishReason == "stop", ids[^1] == end);
            Assert.Equal(ids.Length, result.CompletionTokens);
            finishReasons.Add(result.FinishReason);
        }

        Assert.Equal(["length", "stop"], finishReasons.Order());
    }

    /// <summary>
    /// The template begins the reasoning, which the answer's text does not show; a variable of the template keeps it from doing so.
    /// </summary>
    [Fact]
    public async Task GenerateAsync_TemplateThatOpensTheReasoning_HasNoAnswerUntilItIsClosed()
    {
        File.WriteAllText(
            _directory.File("tokenizer_config.json"),
            """{"eos_token": "<|end|>", "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}{% if think is not defined or think %}<think>\n{% endif %}"}"""
        );
        using var generator = LocalGenerator.Load(_directory.Path, new EngineOptions { Threads = 1, CacheBytes = 4 << 20 });

        var opened = await AskAsync(extraBody: null);
        var plain = await AskAsync("""{"chat_template_kwargs":{"think":false},"other":1}""");

        Assert.Equal(("", opened.Text.Trim()), (opened.Answer, opened.Reasoning));
        Assert.Equal((plain.Text.Trim(), ""), (plain.Answer, plain.Reasoning));
        Assert.Equal(Tokenizer.Load(_directory.Path).Encode("the cat<think>\n"), opened.PromptTokenIds);
        Assert.Equal(Tokenizer.Load(_directory.Path).Encode("the cat"), plain.PromptTokenIds);

        Task<GenerationResult> AskAsync(string? extraBody) =>
            generator.GenerateAsync(
                new GenerationRequest(
                    "one",
                    [new ChatMessage("user", "the cat")],
                    new SamplingSettings
                    {
                        MaxTokens = 3,
                        Temperature = 0,
                        ExtraBody = extraBody,
                    }
                ),
                TestContext.Current.CancellationToken
            );
    }

    public void Dispose() => _directory.Dispose();
}
