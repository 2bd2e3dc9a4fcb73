using TraceDistill.Data.Options;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Inference.Tests;

/// <summary>Tokens that leave a model early.</summary>
public class EarlyExitTests
{
    const int Exit = 0,
        Layers = 4;

    static readonly EngineOptions Kernels = new()
    {
        Threads = 2,
        MaxRunning = 16,
        CacheBytes = 4 << 20,
        PromptTokensPerStep = 8,
        UsesDecoder = false,
        Device = new DeviceChoice(DeviceChoice.CpuWord),
    };

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string> Shapes => ["grouped", "wide", "biased", "qwen2", "mistral", "phi3 partial", "olmo2", "mixtral"];

    /// <summary>
    /// Between exit and last layer the model does nothing, so that keys and values of a token are the same whether it left or not, and
    /// float64 without a cache says for each token whether it leaves, and what follows it.
    /// </summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task GenerateAsync_SomeTokensLeave_EachHasTheLogitsOfWhereItLeft(string shape)
    {
        using var parameters = Create(shape, Exit + 1, Layers - 2);
        using var untilExit = Create(shape, Exit + 1, Layers - 1);
        var prompt = TinyModel.Prompt(30, 1).Select(token => token % parameters.Configuration.VocabSize).ToArray();
        var request = new SequenceRequest
        {
            Prompt = prompt,
            MaxTokens = 60,
            Temperature = 1,
            Seed = 5,
            TopLogprobs = 1,
            StopTokens = [],
        };
        double[][] Probable(int[] tokens) => [.. new ReferenceDecoder(untilExit).Logits(tokens).Select(ReferenceDecoder.LogSoftmax)];

        // Half of the tokens of an answer without exits would leave.
        var (whole, _) = await GenerateAsync(parameters, request, null);
        var confidences = Probable([.. prompt, .. whole.Tokens]).Skip(prompt.Length).Select(row => Math.Exp(row.Max())).Order().ToArray();
        var threshold = confidences[confidences.Length / 2];
        var (result, left) = await GenerateAsync(parameters, request, new EarlyExit(Exit, threshold));

        int[] all = [.. prompt, .. result.Tokens];
        var (early, late) = (Probable(all), new ReferenceDecoder(parameters).Logits(all).Select(ReferenceDecoder.LogSoftmax).ToArray());
        var leaving = 0;
        foreach (var (t, token) in result.Tokens.Index())
        {
            var at = prompt.Length - 1 + t;
            var confidence = Math.Exp(early[at].Max());
            Assert.True(Math.Abs(confidence - threshold) > 1e-9 || t == 0);
            var leaves = t > 0 && confidence >= threshold; // the prompt's last token does not
            leaving += leaves ? 1 : 0;
            Assert.Equal((leaves ? early : late)[at][token], result.Logprobs!.Logprobs[t], 1e-4);
        }

        Assert.Equal(leaving, left);
        Assert.InRange(leaving, 5, result.Tokens.Length - 5);
    }

    /// <summary>Where all leave, the layers above are as good as gone, but for the prompt's last token.</summary>
    [Fact]
    public async Task GenerateAsync_AllTokensLeave_IsTheModelWithoutTheLayersAbove()
    {
        var shape = DecoderShapes.Shape("grouped") with { NumHiddenLayers = Layers, EarlyExitLayers = [1] };
        using var parameters = new ModelParameters(shape);
        parameters.Initialize(3);
        using var lower = new ModelParameters(shape with { NumHiddenLayers = 2 });
        foreach (var name in lower.Names)
        {
            parameters.Values(name).CopyTo(lower.Values(name));
        }

        var request = new SequenceRequest
        {
            Prompt = TinyModel.Prompt(20, 2).Select(token => token % shape.VocabSize).ToArray(),
            MaxTokens = 40,
            Temperature = 0,
            StopTokens = [],
        };
        var (result, left) = await GenerateAsync(parameters, request, new EarlyExit(1, 0));
        var (expected, _) = await GenerateAsync(
            lower,
            request with
            {
                Prompt = (int[])[.. request.Prompt.Span, result.Tokens[0]],
                MaxTokens = 39,
            },
            null
        );

        Assert.Equal(expected.Tokens, result.Tokens[1..]);
        Assert.Equal(39, left);
    }

    [Fact]
    public async Task GenerateAsync_AmongOthers_IsTheSameToTheBitAsAlone()
    {
        using var parameters = TinyModel.Create(TinyModel.Awkward with { NumHiddenLayers = Layers, EarlyExitLayers = [1] });
        using var engine = new GenerationEngine(parameters, Kernels with { EarlyExit = new EarlyExit(1, 0.2) });
        SequenceRequest Request(int i) =>
            new()
            {
                Prompt = TinyModel.Prompt(5 + i * 7 % 60, i),
                MaxTokens = 20 + i % 40,
                Temperature = i % 3 * 0.7,
                Seed = i,
                TopLogprobs = 4,
            };

        var together = await Task.WhenAll(Enumerable.Range(0, 24).Select(i => engine.GenerateAsync(Request(i), Cancel)));
        var counters = engine.Counters;

        Assert.InRange(counters.ExitedTokens, counters.GeneratedTokens / 20, counters.GeneratedTokens * 19 / 20);
        for (var i = 0; i < together.Length; i++)
        {
            var alone = await engine.GenerateAsync(Request(i), Cancel);
            Assert.Equal(alone.Tokens, together[i].Tokens);
            Assert.Equal(alone.Logprobs!.Logprobs, together[i].Logprobs!.Logprobs);
        }
    }

    [Fact]
    public void Create_ExitThatWasNotTaught_NamesThoseThatWere()
    {
        using var parameters = TinyModel.Create(TinyModel.Awkward with { NumHiddenLayers = Layers, EarlyExitLayers = [0, 2] });

        var error = Assert.Throws<InvalidInputException>(() =>
            new GenerationEngine(parameters, Kernels with { EarlyExit = new EarlyExit(1, 0.9) })
        );

        Assert.Equal("exit_layer: layer 1 of the model was not taught to be an exit; take 0 or 2", error.Message);
    }

    [Theory]
    [InlineData("grouped", 1, false, "exit_layer: 1 is not below the model's last layer, 1")]
    [InlineData("mingru", 0, false, "exit_layer: a recurrent model's layers all have to see every token: leave it out")]
    [InlineData(
        "grouped",
        0,
        false,
        "exit_layer: the model was not taught any exits: train it with early_exits, or, where another program did, name them in its "
            + "config.json as early_exit_layers"
    )]
    [InlineData("grouped", 0, true, "exit_layer: answers leave early on the CPU alone, with this program's kernels: leave it out")]
    public void Create_ModelThatCannotBeLeft_IsRefusedInOneLine(string shape, int layer, bool usesDecoder, string message)
    {
        using var parameters = DecoderShapes.Parameters(shape, seed: 3);

        var error = Assert.Throws<InvalidInputException>(() =>
            new GenerationEngine(parameters, Kernels with { UsesDecoder = usesDecoder, EarlyExit = new EarlyExit(layer, 0.5) })
        );

        Assert.Equal(message, error.Message);
    }

    static async Task<(SequenceResult Result, long Left)> GenerateAsync(
        ModelParameters parameters,
        SequenceRequest request,
        EarlyExit? exit
    )
    {
        using var engine = new GenerationEngine(parameters, Kernels with { EarlyExit = exit });
        var result = await engine.GenerateAsync(request, Cancel);
        return (result, engine.Counters.ExitedTokens);
    }

    /// <summary>A model of four layers, some of which add nothing.</summary>
    static ModelParameters Create(string shape, int firstIdle, int lastIdle)
    {
        var parameters = new ModelParameters(DecoderShapes.Shape(shape) with { NumHiddenLayers = Layers, EarlyExitLayers = [Exit] });
        parameters.Initialize(3);
        string[] outputs = ["o_proj.weight", "o_proj.bias", "down_proj.weight", "down_proj.bias", "w2.weight"];
        foreach (
            var name in parameters.Names.Where(name =>
                name.Split('.') is ["model", "layers", var layer, ..]
                && int.Parse(layer, System.Globalization.CultureInfo.InvariantCulture) is var index
                && index >= firstIdle
                && index <= lastIdle
                && outputs.Any(output => name.EndsWith(output, StringComparison.Ordinal))
            )
        )
        {
            parameters.Values(name).Clear();
        }

        return parameters;
    }
}
