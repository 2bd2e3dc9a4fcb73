using TraceDistill.Data.Generation;
using TraceDistill.Data.Options;
using TraceDistill.Inference.Sequences;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using Xunit;

namespace TraceDistill.Inference.Tests;

[Trait("Category", "Numeric")]
public class GenerationEngineTests
{
    static readonly EngineOptions Small = new()
    {
        Threads = 2,
        MaxRunning = 16,
        CacheBytes = 4 << 20,
        PromptTokensPerStep = 8,
        Device = TestDevice.Choice,
    };

    /// <summary>What only the processor's own kernels promise: no bit depends on what runs beside a sequence.</summary>
    static readonly EngineOptions Kernels = Small with { UsesDecoder = false, Device = new DeviceChoice(DeviceChoice.CpuWord) };

    [Theory]
    [InlineData(ModelFamily.Llama, false)]
    [InlineData(ModelFamily.Llama, true)]
    [InlineData(ModelFamily.Qwen2, false)]
    [InlineData(ModelFamily.Qwen3, true)]
    public async Task GenerateAsync_Greedy_EqualsTheUncachedForwardPass(ModelFamily family, bool attentionBias)
    {
        using var parameters = TinyModel.Create(TinyModel.Awkward with { Family = family, AttentionBias = attentionBias });
        foreach (
            var name in parameters.Names.Where(name =>
                name.EndsWith(".bias", StringComparison.Ordinal) || name.Contains("_norm.", StringComparison.Ordinal)
            )
        )
        {
            foreach (var (i, value) in parameters.Values(name).ToArray().Index())
            {
                parameters.Values(name)[i] = value + (0.1f * (i % 5));
            }
        }

        using var engine = new GenerationEngine(parameters, Small);
        var prompt = TinyModel.Prompt(37, 1);
        var result = await engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = prompt,
                MaxTokens = 40,
                Temperature = 0,
                TopLogprobs = 5,
                StopTokens = [],
            },
            Cancel
        );

        var logits = new ReferenceDecoder(parameters).Logits([.. prompt, .. result.Tokens]);
        for (var t = 0; t < result.Tokens.Length; t++)
        {
            AssertRow(result.Logprobs!, t, ReferenceDecoder.LogSoftmax(logits[prompt.Length - 1 + t]));
            Assert.Equal(result.Tokens[t], result.Logprobs!.TopIds[t * 5]);
        }
    }

    /// <summary>Every family, behind a prompt that is longer than its window.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public Task GenerateAsync_EveryFamily_EqualsTheUncachedForwardPass(string shape) => CheckAsync(shape, Small);

    /// <summary>The decoder, with which a GPU computes.</summary>
    [Theory]
    [MemberData(nameof(DecoderShapes.All), MemberType = typeof(DecoderShapes))]
    public Task GenerateAsync_EveryFamilyByTheDecoder_EqualsTheUncachedForwardPass(string shape) =>
        CheckAsync(shape, Small with { UsesDecoder = true });

    static async Task CheckAsync(string shape, EngineOptions options)
    {
        using var parameters = DecoderShapes.Parameters(shape, seed: 3);
        using var engine = new GenerationEngine(parameters, options);
        int[] prompt = [.. TinyModel.Prompt(50, 1).Select(token => token % parameters.Configuration.VocabSize)];
        var request = new SequenceRequest
        {
            Prompt = prompt,
            MaxTokens = 40,
            Temperature = 0,
            TopLogprobs = 5,
            StopTokens = [],
        };
        var others = Enumerable
            .Range(1, 3)
            .Select(i => engine.GenerateAsync(request with { Prompt = prompt.AsMemory(0, 10 * i) }, Cancel))
            .ToArray();

        var result = await engine.GenerateAsync(request, Cancel);

        await Task.WhenAll(others);
        var logits = new ReferenceDecoder(parameters).Logits([.. prompt, .. result.Tokens]);
        for (var t = 0; t < result.Tokens.Length; t++)
        {
            AssertRow(result.Logprobs!, t, ReferenceDecoder.LogSoftmax(logits[prompt.Length - 1 + t]));
        }
    }

    /// <summary>
    /// A sequence is rotated from its first token on as what it may become: the same prompt otherwise where it may become long.
    /// </summary>
    [Theory]
    [InlineData(20, 1)]
    [InlineData(60, 4)]
    public async Task GenerateAsync_LongRope_TakesTheFactorsOfTheLengthThatIsAskedFor(int tokens, double factor)
    {
        double[] shortFactor = [1, 1, 1, 1, 1, 1, 1, 1, 1],
            longFactor = [4, 4, 4, 4, 4, 4, 4, 4, 4];
        using var parameters = TinyModel.Create(
            TinyModel.Awkward with
            {
                Family = ModelFamily.Phi3,
                RopeScaling = new RopeScaling
                {
                    Type = RopeType.LongRope,
                    OriginalMaxPositionEmbeddings = 80,
                    ShortFactor = shortFactor,
                    LongFactor = longFactor,
                },
            }
        );
        using var engine = new GenerationEngine(parameters, Small);
        var request = new SequenceRequest
        {
            Prompt = TinyModel.Prompt(40, 1),
            MaxTokens = tokens,
            Temperature = 0,
            TopLogprobs = 5,
            StopTokens = [],
        };

        var (other, result) = (
            engine.GenerateAsync(request with { MaxTokens = 80 - tokens }, Cancel),
            await engine.GenerateAsync(request, Cancel)
        );

        await other;
        using var scope = TorchSharp.torch.NewDisposeScope();
        using var noGrad = TorchSharp.torch.no_grad();
        var reference = new ReferenceLlama(parameters)
        {
            Frequencies = TorchSharp.torch.tensor(Enumerable.Range(0, 9).Select(c => Math.Pow(10_000, -2.0 * c / 18) / factor).ToArray()),
            Magnitude = Math.Sqrt(1 + Math.Log(2) / Math.Log(80)), // 160 positions by the original 80
        };
        var logits = reference
            .Logits([.. request.Prompt.Span, .. result.Tokens])
            .data<double>()
            .ToArray()
            .Chunk(parameters.Configuration.VocabSize)
            .ToArray();
        for (var t = 0; t < result.Tokens.Length; t++)
        {
            AssertRow(result.Logprobs!, t, ReferenceDecoder.LogSoftmax(logits[39 + t]));
        }
    }

    /// <summary>The processor widens what a GPU computes with as it is.</summary>
    [Theory]
    [InlineData(TensorDtype.BFloat16, true)]
    [InlineData(TensorDtype.BFloat16, false)]
    [InlineData(TensorDtype.Float16, false)]
    public async Task Load_CheckpointOf16Bits_GivesTheBitsOfTheSameWeightsInFloat32(TensorDtype dtype, bool tied)
    {
        using var directory = new TemporaryDirectory();
        using (var random = TinyModel.Create(TinyModel.Awkward with { TieWordEmbeddings = tied }))
        {
            ModelDirectory.Save(directory.Path, random, dtype);
        }

        using var parameters = ModelDirectory.Load(directory.Path);
        var options = Small with { Device = new DeviceChoice(DeviceChoice.CpuWord) };
        using GenerationEngine wide = new(parameters, options),
            narrow = GenerationEngine.Load(directory.Path, options);
        var request = new SequenceRequest
        {
            Prompt = TinyModel.Prompt(37, 1),
            MaxTokens = 40,
            Temperature = 1,
            Seed = 3,
            TopLogprobs = 5,
            StopTokens = [],
        };

        var (expected, actual) = (await wide.GenerateAsync(request, Cancel), await narrow.GenerateAsync(request, Cancel));
        Assert.Equal(expected.Tokens, actual.Tokens);
        Assert.Equal(expected.Logprobs!.TopLogprobs, actual.Logprobs!.TopLogprobs);
    }

    [Fact]
    public async Task GenerateAsync_PromptToBeScored_EqualsTheUncachedForwardPass()
    {
        using var parameters = TinyModel.Create(TinyModel.Awkward with { TieWordEmbeddings = true });
        using var engine = new GenerationEngine(parameters, Small);
        var prompt = TinyModel.Prompt(50, 2);
        var scores = (
            await engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = prompt,
                    MaxTokens = 0,
                    PromptTopLogprobs = 7,
                },
                Cancel
            )
        ).PromptLogprobs!;

        Assert.Equal(prompt[1..], scores.TokenIds);
        var logits = new ReferenceDecoder(parameters).Logits(prompt);
        for (var t = 0; t < prompt.Length - 1; t++)
        {
            AssertRow(scores, t, ReferenceDecoder.LogSoftmax(logits[t]));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task GenerateAsync_AmongOthers_IsTheSameToTheBitAsAlone(bool isRecurrent)
    {
        var recurrent = DecoderShapes.Recurrent with { VocabSize = 101, MaxPositionEmbeddings = 160, EosTokenIds = [3] };
        using var parameters = TinyModel.Create(isRecurrent ? recurrent : null);
        using var engine = new GenerationEngine(parameters, Kernels);
        SequenceRequest Request(int i) =>
            new()
            {
                Prompt = TinyModel.Prompt(5 + i * 7 % 60, i),
                MaxTokens = 20 + i % 40,
                Temperature = i % 3 * 0.7,
                TopP = i % 2 == 0 ? 1 : 0.9,
                TopK = i % 5 == 4 ? 12 : 0,
                Seed = i,
                TopLogprobs = 4,
            };

        var together = await Task.WhenAll(Enumerable.Range(0, 48).Select(i => engine.GenerateAsync(Request(i), Cancel)));
        for (var i = 0; i < together.Length; i++)
        {
            var alone = await engine.GenerateAsync(Request(i), Cancel);
            Assert.Equal(alone.Tokens, together[i].Tokens);
            Assert.Equal(alone.Logprobs!.Logprobs, together[i].Logprobs!.Logprobs);
            Assert.Equal(alone.Logprobs.TopLogprobs, together[i].Logprobs!.TopLogprobs);
        }
    }

    [Fact]
    public async Task GenerateAsync_SeedOrSampleIndexDiffers_DrawsOtherTokens()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small);
        Task<SequenceResult> Draw(long seed, int sample) =>
            engine.GenerateAsync(
                new SequenceRequest
                {
                    Prompt = TinyModel.Prompt(9, 1),
                    MaxTokens = 30,
                    Seed = seed,
                    SampleIndex = sample,
                    StopTokens = [],
                },
                Cancel
            );

        var first = (await Draw(1, 0)).Tokens;
        Assert.Equal(first, (await Draw(1, 0)).Tokens);
        Assert.NotEqual(first, (await Draw(2, 0)).Tokens);
        Assert.NotEqual(first, (await Draw(1, 1)).Tokens);
    }

    [Fact]
    public async Task GenerateAsync_StopToken_EndsWithItIncluded()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small);
        var request = new SequenceRequest
        {
            Prompt = TinyModel.Prompt(9, 1),
            MaxTokens = 30,
            Seed = 4,
            StopTokens = [],
        };
        var free = await engine.GenerateAsync(request, Cancel);
        var stopped = await engine.GenerateAsync(request with { StopTokens = [free.Tokens[11]] }, Cancel);

        Assert.False(free.Stopped);
        Assert.True(stopped.Stopped);
        Assert.Equal(free.Tokens[..(Array.IndexOf(free.Tokens, free.Tokens[11]) + 1)], stopped.Tokens);
    }

    [Fact]
    public async Task GenerateAsync_SinkSaysStop_EndsAfterThatToken()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small);
        var sink = new StopAfter(6);
        var result = await engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = TinyModel.Prompt(9, 1),
                MaxTokens = 30,
                StopTokens = [],
                TopLogprobs = 2,
                Sink = sink,
            },
            Cancel
        );

        Assert.True(result.Stopped);
        Assert.Equal(result.Tokens, sink.Tokens);
        Assert.Equal(6, result.Tokens.Length);
    }

    [Fact]
    public async Task GenerateAsync_MoreThanTheContextHolds_EndsByLength()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small);
        var result = await engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = TinyModel.Prompt(150, 1),
                MaxTokens = 1000,
                StopTokens = [],
            },
            Cancel
        );

        Assert.False(result.Stopped);
        Assert.Equal(10, result.Tokens.Length);
    }

    [Fact]
    public async Task GenerateAsync_CacheForOneSequenceOnly_StillServesAll()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small with { CacheBytes = 10 * 2 * 2 * (18 + 32) * 16 * sizeof(float) });
        var results = await Task.WhenAll(
            Enumerable
                .Range(0, 12)
                .Select(i =>
                    engine.GenerateAsync(
                        new SequenceRequest
                        {
                            Prompt = TinyModel.Prompt(80, i),
                            MaxTokens = 50,
                            StopTokens = [],
                        },
                        Cancel
                    )
                )
        );

        Assert.All(results, result => Assert.Equal(50, result.Tokens.Length));
        Assert.Equal(new EngineCounters(0, 0, 12 * 80, 12 * 50), await Idle(engine));
    }

    [Fact]
    public async Task GenerateAsync_OnePromptManyTimes_IsWorkedOutOnceAndChangesNoBit()
    {
        using var parameters = TinyModel.Create();
        // Another worker may wake up, on a busy machine, when the first sequence and its pages are gone.
        using var engine = new GenerationEngine(parameters, Kernels with { Threads = 1 });
        SequenceRequest Request(int sample) =>
            new()
            {
                Prompt = TinyModel.Prompt(70, 1),
                MaxTokens = sample == 0 ? 80 : 30,
                SampleIndex = sample,
                TopLogprobs = 4,
                StopTokens = [],
            };

        // The first is still at it when the last is asked for, however busy the machine is.
        using var asked = new ManualResetEventSlim();
        Task<SequenceResult>[] requests =
        [
            .. Enumerable
                .Range(0, 8)
                .Select(sample => engine.GenerateAsync(Request(sample) with { Sink = sample == 0 ? new WaitFor(asked) : null }, Cancel)),
        ];
        asked.Set();
        var together = await Task.WhenAll(requests);

        // Four pages of 16 tokens are shared; each works out the six tokens after them.
        Assert.Equal(70 + 7 * 6, (await Idle(engine)).PromptTokens);
        for (var sample = 0; sample < together.Length; sample++)
        {
            var alone = await engine.GenerateAsync(Request(sample), Cancel);
            Assert.Equal(alone.Tokens, together[sample].Tokens);
            Assert.Equal(alone.Logprobs!.TopLogprobs, together[sample].Logprobs!.TopLogprobs);
        }
    }

    [Fact]
    public async Task GenerateAsync_FirstOfOnePromptCancelled_OthersWorkItOutThemselves()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small with { CacheBytes = 10 * 2 * 2 * (18 + 32) * 16 * sizeof(float) });
        var request = new SequenceRequest
        {
            Prompt = TinyModel.Prompt(100, 1),
            MaxTokens = 10,
            Temperature = 0,
            StopTokens = [],
        };
        for (var round = 0; round < 50; round++)
        {
            using var first = new CancellationTokenSource();
            var cancelled = engine.GenerateAsync(request, first.Token);
            var others = Enumerable.Range(0, 3).Select(_ => engine.GenerateAsync(request, Cancel)).ToArray();
            await first.CancelAsync(); // Waiting, within the prompt, or just done with it.

            await Task.WhenAny(cancelled);
            Assert.All(await Task.WhenAll(others), result => Assert.Equal(10, result.Tokens.Length));
        }

        // All pages are back: the whole cache can be had.
        Assert.Equal(
            59,
            (await engine.GenerateAsync(request with { Prompt = TinyModel.Prompt(101, 2), MaxTokens = 59 }, Cancel)).Tokens.Length
        );
    }

    [Fact]
    public async Task GenerateAsync_Cancelled_FreesItsRoomForOthers()
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small with { CacheBytes = 10 * 2 * 2 * (18 + 32) * 16 * sizeof(float) });
        using var cancellation = new CancellationTokenSource();
        var sink = new CancelAfter(3, cancellation);
        var running = engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = TinyModel.Prompt(9, 1),
                MaxTokens = 150,
                StopTokens = [],
                Sink = sink,
            },
            cancellation.Token
        );
        var waiting = engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = TinyModel.Prompt(9, 1),
                MaxTokens = 150,
                StopTokens = [],
            },
            cancellation.Token
        );
        var other = engine.GenerateAsync(
            new SequenceRequest
            {
                Prompt = TinyModel.Prompt(9, 1),
                MaxTokens = 150,
                StopTokens = [],
            },
            Cancel
        );

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(150, (await other).Tokens.Length);
    }

    [Fact]
    public async Task Dispose_WhileSequencesRun_CancelsThem()
    {
        using var parameters = TinyModel.Create(TinyModel.Awkward with { MaxPositionEmbeddings = 100_000 });
        var engine = new GenerationEngine(parameters, Small with { CacheBytes = 1L << 30 });
        var sequences = Enumerable
            .Range(0, 20)
            .Select(_ =>
                engine.GenerateAsync(
                    new SequenceRequest
                    {
                        Prompt = new[] { 5 },
                        MaxTokens = 99_000,
                        StopTokens = [],
                    },
                    Cancel
                )
            )
            .ToList();
        engine.Dispose();

        foreach (var sequence in sequences)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sequence);
        }

        await Assert.ThrowsAsync<ObjectDisposedException>(() =>
            engine.GenerateAsync(new SequenceRequest { Prompt = new[] { 5 }, MaxTokens = 1 }, Cancel)
        );
    }

    [Theory]
    [InlineData("", "no tokens")]
    [InlineData("5 101", "token 101")]
    [InlineData("-1", "token -1")]
    public async Task GenerateAsync_PromptThatCannotBe_SaysWhy(string ids, string reason)
    {
        using var parameters = TinyModel.Create();
        using var engine = new GenerationEngine(parameters, Small);
        var prompt = ids.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToArray();
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            engine.GenerateAsync(new SequenceRequest { Prompt = prompt, MaxTokens = 1 }, Cancel)
        );
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_DamagedWeights_FailsAndTheEngineGoesOn()
    {
        using var parameters = TinyModel.Create();
        parameters.Values("model.embed_tokens.weight").Slice(50 * 40, 40).Fill(float.NaN);
        using var engine = new GenerationEngine(parameters, Small);

        await Assert.ThrowsAsync<InvalidInputException>(() =>
            engine.GenerateAsync(new SequenceRequest { Prompt = new[] { 50 }, MaxTokens = 5 }, Cancel)
        );
        Assert.NotEmpty((await engine.GenerateAsync(new SequenceRequest { Prompt = new[] { 51 }, MaxTokens = 5 }, Cancel)).Tokens);
    }

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Sequences are let go of just after their results are out.</summary>
    static async Task<EngineCounters> Idle(GenerationEngine engine)
    {
        while (engine.Counters.Running > 0)
        {
            await Task.Yield();
        }

        return engine.Counters;
    }

    static void AssertRow(TokenLogprobs actual, int row, double[] expected)
    {
        Assert.Equal(expected[actual.TokenIds[row]], actual.Logprobs[row], 1e-4);
        var best = expected.OrderDescending().Take(actual.K).ToArray();
        for (var j = 0; j < actual.K; j++)
        {
            Assert.Equal(best[j], actual.TopLogprobs[row * actual.K + j], 1e-4);
            Assert.Equal(expected[actual.TopIds[row * actual.K + j]], actual.TopLogprobs[row * actual.K + j], 1e-4);
        }
    }

    sealed class StopAfter(int count) : ITokenSink
    {
        public List<int> Tokens { get; } = [];

        public bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
        {
            Tokens.Add(token);
            return Tokens.Count < count;
        }
    }

    sealed class CancelAfter(int count, CancellationTokenSource cancellation) : ITokenSink
    {
        int _left = count;

        public bool Append(int token, float logprob, ReadOnlySpan<int> topIds, ReadOnlySpan<float> topLogprobs)
        {
            if (--_left == 0)
            {
                cancellation.Cancel();
            }

            return true;
        }
    }
}
