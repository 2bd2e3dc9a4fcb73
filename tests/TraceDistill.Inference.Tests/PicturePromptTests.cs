using TraceDistill.Data.Options;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Inference.Tests;

/// <summary>Prompts in which a picture stands, against a float64 pass over the whole sequence whose embeddings are its vectors.</summary>
[Trait("Category", "Numeric")]
public class PicturePromptTests
{
    /// <summary>More places than a digest has numbers, and more than a step takes of a prompt.</summary>
    static readonly PictureEncoderSettings Shape = ReferencePictures.Shape with { Height = 12, Width = 18 };

    static readonly EngineOptions Small = new()
    {
        Threads = 2,
        MaxRunning = 16,
        CacheBytes = 4 << 20,
        PromptTokensPerStep = 8,
        Device = new DeviceChoice(DeviceChoice.CpuWord),
    };

    public static TheoryData<string, bool> Ways =>
        new()
        {
            { "llama", false },
            { "llama", true },
            { "gemma2", false },
            { "gemma2", true },
            { "mingru", false },
            { "mingru", true },
        };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task GenerateAsync_PictureInThePrompt_EqualsTheUncachedForwardPass(string family, bool usesDecoder)
    {
        using var parameters = Parameters(family);
        using var engine = new GenerationEngine(parameters, Small with { UsesDecoder = usesDecoder });
        var results = await Task.WhenAll(
            Enumerable.Range(1, 6).Select(i => engine.GenerateAsync(Request(seed: 1 + (i % 3)), TestContext.Current.CancellationToken))
        );

        foreach (var (i, result) in results.Index())
        {
            var expected = Reference(parameters, seed: 1 + ((i + 1) % 3), result.Tokens);
            for (var t = 0; t < result.Tokens.Length; t++)
            {
                Assert.Equal(expected[t][result.Tokens[t]], result.Logprobs!.Logprobs[t], 2e-4);
            }
        }
    }

    /// <summary>Prompts of equal tokens share their pages only where the picture is the same.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task GenerateAsync_EqualTokensAndOtherPictures_AreNotTakenForOnePrompt(bool usesDecoder)
    {
        using var parameters = Parameters("llama");
        using var engine = new GenerationEngine(parameters, Small with { UsesDecoder = usesDecoder, Threads = 1 });
        var cancel = TestContext.Current.CancellationToken;
        var alone = await engine.GenerateAsync(Request(seed: 1), cancel);
        var before = engine.Counters.PromptTokens;

        // The first one waits for the others: prompts are shared by sequences that run at once.
        using var queued = new ManualResetEventSlim();
        var running = new[] { 1, 2, 1, 2 }
            .Select((seed, i) => engine.GenerateAsync(Request(seed) with { Sink = i == 0 ? new WaitFor(queued) : null }, cancel))
            .ToArray();
        queued.Set();
        var together = await Task.WhenAll(running);

        Assert.Equal(together[0].Tokens, together[2].Tokens);
        Assert.Equal(together[1].Tokens, together[3].Tokens);
        Assert.NotEqual(together[0].Logprobs!.Logprobs[0], together[1].Logprobs!.Logprobs[0]);
        Assert.Equal(alone.Logprobs!.Logprobs[0], together[0].Logprobs!.Logprobs[0], 1e-5);
        // Of each picture the second sequence takes over the whole pages of the first.
        Assert.True(engine.Counters.PromptTokens - before < 4 * Prompt.Length);
    }

    [Fact]
    public async Task GenerateAsync_SamePicture_GivesTheSameBits()
    {
        using var parameters = Parameters("llama");
        using var engine = new GenerationEngine(parameters, Small with { UsesDecoder = false });

        var first = await engine.GenerateAsync(Request(seed: 1), TestContext.Current.CancellationToken);
        var again = await Task.WhenAll(
            Enumerable.Range(1, 5).Select(seed => engine.GenerateAsync(Request(seed), TestContext.Current.CancellationToken))
        );

        Assert.Equal(first.Logprobs!.Logprobs, again[0].Logprobs!.Logprobs);
    }

    [Fact]
    public async Task GenerateAsync_PictureMissingOrUnwanted_IsRefused()
    {
        using var parameters = Parameters("llama");
        using var text = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small);
        using var reader = new GenerationEngine(text, Small);

        await RefusedAsync(engine, Request(1) with { Picture = null }, "the model looks at a picture in each prompt: give it exactly one");
        await RefusedAsync(engine, Request(1) with { Prompt = new[] { 4, 5 } }, "the model looks at a picture in each prompt");
        await RefusedAsync(engine, Request(1) with { PromptTopLogprobs = 0 }, "a picture's places have no probabilities");
        await RefusedAsync(reader, Request(1), "the model reads text alone, and has no encoder for a picture");
        await RefusedAsync(reader, Request(1) with { Picture = null }, "the prompt holds token -1");

        static async Task RefusedAsync(GenerationEngine engine, SequenceRequest request, string message)
        {
            var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
                engine.GenerateAsync(request, TestContext.Current.CancellationToken)
            );
            Assert.StartsWith(message, error.Message);
        }
    }

    static int[] Prompt =>
        [.. TinyModel.Prompt(20, 1), .. Enumerable.Repeat(PicturePrompt.Token, Shape.Patches), .. TinyModel.Prompt(15, 2)];

    static SequenceRequest Request(int seed) =>
        new()
        {
            Prompt = Prompt,
            Picture = ReferencePictures.Random(seed, Shape),
            MaxTokens = 12,
            Temperature = 0,
            TopLogprobs = 0,
            StopTokens = [],
        };

    static ModelParameters Parameters(string family)
    {
        var shape = family == "llama" ? TinyModel.Awkward : DecoderShapes.Shape(family) with { VocabSize = 101 };
        return TinyModel.Create(shape with { Pictures = Shape });
    }

    /// <summary>Log-probabilities of what comes at each generated token; the embedding has a row for each vector.</summary>
    static double[][] Reference(ModelParameters parameters, int seed, int[] generated)
    {
        var c = parameters.Configuration;
        using var wide = new ModelParameters(
            c with
            {
                VocabSize = c.VocabSize + Shape.Patches,
                Pictures = null,
                TieWordEmbeddings = false,
            }
        );
        foreach (var name in wide.Names.Where(name => name != "lm_head.weight"))
        {
            parameters.Values(name).CopyTo(wide.Values(name));
        }

        var head = c.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
        parameters.Values(head).CopyTo(wide.Values("lm_head.weight"));
        var scale = c.Traits.ScalesEmbedding ? Math.Sqrt(c.HiddenSize) : 1;
        var vectors = new ReferencePictures(parameters).Vectors(ReferencePictures.Random(seed, Shape));
        float[] rows = [.. vectors.SelectMany(vector => vector).Select(value => (float)(value / scale))];
        rows.CopyTo(wide.Values("model.embed_tokens.weight")[(c.VocabSize * c.HiddenSize)..]);
        var next = c.VocabSize;
        int[] ids = [.. Prompt.Select(id => id == PicturePrompt.Token ? next++ : id), .. generated];
        var logits = new ReferenceDecoder(wide).Logits(ids);
        return
        [
            .. Enumerable.Range(0, generated.Length).Select(t => ReferenceDecoder.LogSoftmax(logits[Prompt.Length - 1 + t][..c.VocabSize])),
        ];
    }
}
