using System.ComponentModel.DataAnnotations;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using TraceDistill.Training.Tests.Distillation;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Teaching;

/// <summary>Teachers that change with the student: an average of itself, and peers that learn in step.</summary>
public sealed class TaughtAlongTests : TrainStageCase
{
    static readonly PeerChoice Other = new();

    /// <summary>Without any memory the average is the student, from which it has no divergence.</summary>
    [Fact]
    public async Task RunAsync_AverageWithoutMemory_HasNoDivergence()
    {
        await WriteAsync();

        var summary = await RunAsync(Options with { SelfTeacherDecay = 0, KdAlpha = Schedule.Constant(1) }, "student");

        Assert.InRange(summary.Loss, -1e-6, 1e-6);
    }

    /// <summary>a ← d·a + (1 − d)·w, with d = (1 + t) / (10 + t) while that is smaller.</summary>
    [Fact]
    public void Add_Weights_MakesTheTeacherTheirAverage()
    {
        using var student = SampleSequences.Parameters();
        using var model = new TeacherModel(student.Copy(), isOwned: true);
        using var self = new SelfTeacher(TrainedWeights.All(student), model, 0.9);
        float[] before = [.. student.Flat.Span];
        foreach (ref var weight in student.Flat.Span)
        {
            weight = (2 * weight) + 1;
        }

        self.Add(1);

        const double Decay = 2.0 / 11;
        var average = ((ModelParameters)model.Weights).Flat.Span;
        for (var i = 0; i < before.Length; i++)
        {
            Assert.Equal((Decay * before[i]) + ((1 - Decay) * ((2 * before[i]) + 1)), average[i], 1e-6);
        }
    }

    /// <summary>The model beside which adapters stand is the same, and the lengths of DoRA's rows are those of the average.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Add_Adapter_MakesTheTeachersOneTheAverage(bool usesDora)
    {
        using var student = SampleSequences.Parameters();
        using var adapter = new LoraAdapter(student, new LoraSettings(2, 4, 0, ["q_proj", "down_proj"], usesDora), seed: 3);
        Fill(adapter, 1);
        using var model = new TeacherModel(adapter.Copy());
        using var self = new SelfTeacher(TrainedWeights.Of(adapter), model, 0.9);
        float[] before = [.. adapter.Flat.Span];
        Fill(adapter, 2);

        self.Add(1);

        const double Decay = 2.0 / 11;
        Assert.Same(student, model.Weights);
        for (var i = 0; i < before.Length; i++)
        {
            Assert.Equal((Decay * before[i]) + ((1 - Decay) * adapter.Flat.Span[i]), model.Adapter!.Flat.Span[i], 1e-6);
        }

        // The same weights in an adapter that has known no others.
        using var expected = adapter.Copy();
        model.Adapter!.Flat.Span.CopyTo(expected.Flat.Span);
        expected.Refresh();
        Assert.Equal(HiddenOf(expected), HiddenOf(model));
        Assert.NotEqual(HiddenOf(adapter), HiddenOf(model));

        static void Fill(LoraAdapter adapter, int seed)
        {
            var random = new Random(seed);
            foreach (ref var weight in adapter.Flat.Span)
            {
                weight = random.NextSingle();
            }

            adapter.Refresh();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_AverageOfAdapters_LearnsAndEndsWithTheSameBits(bool usesDora)
    {
        await WriteAsync();
        await RunAsync(Options, "base");
        var options = Tuned with { LoraR = 2, UseDora = usesDora, SelfTeacherDecay = 0.5 };

        Assert.InRange((await RunAsync(options with { SelfTeacherDecay = 0, KdAlpha = Schedule.Constant(1) }, "itself")).Loss, -1e-6, 1e-6);
        await InterruptedAsync(options);

        Assert.NotEqual(await TrainAsync(options, "whole"), await TrainAsync(options with { SelfTeacherDecay = null }, "without"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_AverageInterrupted_EndsWithTheSameBits(bool isRounded)
    {
        await WriteAsync();
        var options = Options with { SelfTeacherDecay = 0.5, ComputeDtype = isRounded ? ComputeDtype.BFloat16 : ComputeDtype.Float32 };

        await InterruptedAsync(options);

        Assert.NotEqual(await TrainAsync(options, "whole"), await TrainAsync(options with { SelfTeacherDecay = null }, "without"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_TopKOfTaughtAlong_TeachesOtherThanAll(bool isSelf)
    {
        await WriteAsync();
        var options = isSelf ? Options with { SelfTeacherDecay = 0.5 } : Options with { Peers = [Other] };

        var all = await TrainAsync(options, "all");
        var top = await TrainAsync(options with { KdTopK = 2, KdMissingMass = MissingMass.Truncate }, "top");

        Assert.NotEqual(all, top);
    }

    /// <summary>Two students of one seed are one: neither teaches the other anything.</summary>
    [Fact]
    public async Task RunAsync_PeerOfTheSameSeed_StaysTheSameToTheBit()
    {
        await WriteAsync();
        var options = Options with { Peers = [new PeerChoice { Seed = Options.Seed }] };

        var first = await TrainAsync(options, "student");

        using var peer = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.PeersDirectory, "1"));
        Assert.Equal(first, peer.Flat.Span.ToArray());
    }

    /// <summary>The first step of each is that of a student whose teacher is the other as it was before.</summary>
    [Fact]
    public async Task RunAsync_FirstStep_IsThatOfEachWithTheOtherAsItsTeacher()
    {
        await WriteAsync();
        await RunAsync(Options with { Seed = 5 }, "other");
        var options = Options with { MaxSteps = 1, Peers = [new PeerChoice { Student = Folder.Out("other") }] };

        var first = await TrainAsync(options, "student");

        Assert.Equal(first, await TrainAsync(options with { Peers = [], Teacher = Folder.Out("other") }, "taught"));
        using var peer = ModelDirectory.Load(Path.Combine(Folder.Out("student"), TrainStage.PeersDirectory, "1"));
        var expected = await TrainAsync(
            options with
            {
                Peers = [],
                Architecture = null,
                Student = Folder.Out("other"),
                Teacher = Path.Combine(Folder.Out("student"), TrainStage.InitialDirectory),
            },
            "peer"
        );
        Assert.Equal(expected, peer.Flat.Span.ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task RunAsync_PeersInterrupted_EndWithTheSameBits(int count)
    {
        await WriteAsync();
        var larger = Options.Architecture! with { HiddenSize = 48, NumHiddenLayers = 3 };
        var options = Options with { Peers = [new PeerChoice { Architecture = larger }, .. Enumerable.Repeat(Other, count - 1)] };

        await InterruptedAsync(options);

        for (var i = 1; i <= count; i++)
        {
            using var whole = ModelDirectory.Load(Path.Combine(Folder.Out("whole"), TrainStage.PeersDirectory, $"{i}"));
            using var resumed = ModelDirectory.Load(Path.Combine(Folder.Out("resumed"), TrainStage.PeersDirectory, $"{i}"));
            Assert.Equal(whole.Flat.Span.ToArray(), resumed.Flat.Span.ToArray());
            Assert.Equal(i == 1 ? 48 : 32, whole.Configuration.HiddenSize);
        }
    }

    [Fact]
    public async Task RunAsync_Peers_TellTheirLosses()
    {
        await WriteAsync();
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(
            Options with
            {
                Peers = [Other, Other],
                LoggingSteps = 1,
            },
            Folder.Out("student"),
            observer,
            TestContext.Current.CancellationToken
        );

        Assert.All(observer.Values.Where(values => values.ContainsKey("loss")), values =>
            Assert.True(values["peer1_loss"] > 0 && values["peer2_loss"] > 0)
        );
    }

    /// <summary>
    /// A norm of 10⁻³⁸ before an output matrix of 10³⁸ gives logits like any, and a gradient by the norm that is no number: of the peer
    /// alone.
    /// </summary>
    [Theory]
    [InlineData(DivergencePolicy.Stop, 0, "training diverged at step 0 (loss ")]
    [InlineData(DivergencePolicy.Skip, 8, "training diverged: all 8 batches were left out and nothing was learned")]
    [InlineData(DivergencePolicy.Rollback, 8, "training diverged: all 8 batches were left out and nothing was learned")]
    public async Task RunAsync_GradientOfAPeerThatIsNoNumber_IsADivergence(DivergencePolicy policy, int leftOut, string message)
    {
        await WriteAsync();
        var architecture = Options.Architecture! with { TieWordEmbeddings = false };
        await RunAsync(Options with { Architecture = architecture, Seed = 5, MaxSteps = 1 }, "peer");
        using (var peer = ModelDirectory.Load(Folder.Out("peer")))
        {
            var random = new Random(1);
            peer.Values("model.norm.weight").Fill(1.5e-38f);
            foreach (ref var weight in peer.Values("lm_head.weight"))
            {
                weight = (random.Next(2) == 0 ? 1 : -1) * 1e38f;
            }

            ModelDirectory.Save(Folder.Out("peer"), peer);
        }

        var observer = new RecordingObserver();
        var options = Options with { Peers = [new PeerChoice { Student = Folder.Out("peer") }], OnDivergence = policy };
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            TrainStage.RunAsync(options, Folder.Out("student"), observer, TestContext.Current.CancellationToken)
        );

        Assert.StartsWith(message, error.Message);
        var told = observer.Messages.Append(error.Message).Where(line => line.Contains("of a peer is no number", StringComparison.Ordinal));
        Assert.Equal(Math.Max(1, leftOut), told.Count());
        Assert.DoesNotContain("loss NaN", string.Join('\n', told));
    }

    [Fact]
    public async Task RunAsync_PeerWithTooFewPositions_IsRefusedInOneLine()
    {
        await WriteAsync();
        var small = Options.Architecture! with { MaxPositionEmbeddings = 16 };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { Peers = [new PeerChoice { Architecture = small }] }, "student")
        );

        Assert.StartsWith("peers: peer 1 has 16 positions, and the longest sequence ", error.Message);
    }

    [Fact]
    public void Validate_SettingsThatDoNotGoTogether_AreRefusedByName()
    {
        TrainOptions self = Options with { SelfTeacherDecay = 0.9 },
            peers = Options with { Peers = [Other] };
        Assert.Empty(Refused(self));
        Assert.Empty(Refused(peers));
        ObjectiveChoice[] objectives = [new() { LogitMse = new LogitMse() }, new() { HiddenStates = new HiddenStates() }];
        Assert.Empty(Refused(self with { Objectives = objectives }));
        Assert.Equal(["SelfTeacherDecay"], Refused(self with { Peers = [Other] }));
        Assert.Equal(["SelfTeacherDecay"], Refused(self with { Teacher = "model" }));
        Assert.Equal(["Peers"], Refused(peers with { Teacher = "model" }));
        Assert.Equal(["SelfTeacherDecay"], Refused(self with { KdAlpha = Schedule.Constant(0) }));
        Assert.Equal(["Objectives"], Refused(peers with { Objectives = [new() { HiddenStates = new HiddenStates() }] }));
        Assert.Empty(Refused(Tuned with { SelfTeacherDecay = 0.9, LoraR = 2 }));
        Assert.Equal(["Peers"], Refused(Tuned with { Peers = [Other], LoraR = 2 }));
        Assert.Equal(["FrozenParameters"], Refused(peers with { FrozenParameters = ["embed"] }));
        Assert.Equal(["LoadBestModelAtEnd"], Refused(peers with { LoadBestModelAtEnd = true, EvalTraces = "held-out" }));
        Assert.Equal(["EmaDecay"], Refused(peers with { EmaDecay = 0.9 }));
        Assert.Equal(["Ewc"], Refused(peers with { Ewc = new Ewc { Traces = ["old"] } }));
        Assert.Equal(["EarlyExits"], Refused(peers with { EarlyExits = new EarlyExits { Layers = [0] } }));

        static IEnumerable<string> Refused(TrainOptions options) =>
            options.Validate(new ValidationContext(options)).Select(problem => problem.MemberNames.Single());
    }

    async Task InterruptedAsync(TrainOptions options)
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );

        Assert.Equal(await TrainAsync(options, "whole"), await TrainAsync(options, "resumed"));
    }

    static float[] HiddenOf(LoraAdapter adapter)
    {
        using var decoder = new Decoder(TrainedWeights.Of(adapter));
        return HiddenOf(decoder);
    }

    static float[] HiddenOf(TeacherModel model)
    {
        using var decoder = model.NewDecoder();
        return HiddenOf(decoder);
    }

    static float[] HiddenOf(Decoder decoder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return decoder.Forward(new TokenBatch([3, 5, 4, 2], [4])).data<float>().ToArray();
    }

    Task WriteAsync() => Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
}
