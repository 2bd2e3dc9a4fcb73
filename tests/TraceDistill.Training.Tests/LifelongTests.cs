using System.ComponentModel.DataAnnotations;
using TraceDistill.Models;
using TraceDistill.Models.Adapters;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Batching;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Tests.Batching;
using TraceDistill.Training.Tests.Distillation;
using Xunit;

namespace TraceDistill.Training.Tests;

/// <summary>A student that goes on to another task and is to keep what it has learned: rehearsal and elastic weight
/// consolidation.</summary>
public sealed class LifelongTests : TrainStageCase
{
    readonly TraceFolder _old = new();

    /// <summary>The old traces have their share at any time; epochs are of the new ones, and a curriculum too.</summary>
    [Fact]
    public void Batches_WithRehearsedSequences_HaveTheirShareAndCountEpochsOfTheOthers()
    {
        var lengths = NumberedSequences.RandomLengths(groups: 6, rows: 40);
        SequenceSet news = new NumberedSequences(lengths).Set(),
            old = new NumberedSequences([lengths[0]]).Set(weight: 0.25) with { IsRehearsed = true };
        SequenceSet[] sets = [news, old];
        var plan = new BatchPlan(sets, 100, seed: 2, shareAt: _ => 0.1);

        var (ofOld, all) = (0L, 0L);
        foreach (var step in plan.Batches().Take(300).SelectMany(batch => batch.Sequences))
        {
            var length = sets[step.Set].Groups[step.Group].Lengths[step.Row];
            (ofOld, all) = (ofOld + (step.Set == 1 ? length : 0), all + length);
            Assert.InRange(ofOld, (all * 0.2) - 40, (all * 0.2) + 40);
        }

        var longest = lengths
            .SelectMany(group => group)
            .Where(length => length > 0)
            .Order()
            .ElementAt(lengths.Sum(group => group.Length) / 8);
        var drawn = plan.Batches().Take(300).SelectMany(batch => batch.Sequences).ToList();
        Assert.All(drawn.Where(step => step.Set == 0), step => Assert.InRange(news.Groups[step.Group].Lengths[step.Row], 2, longest));
        Assert.Contains(drawn, step => step.Set == 1 && old.Groups[step.Group].Lengths[step.Row] > longest);

        var whole = new BatchPlan(sets, 100, seed: 2);
        var steps = whole.UpdatesOf(2);
        Assert.InRange(whole.Batches().Take(steps).Sum(Rest), 2 * news.Tokens, (2 * news.Tokens) + 100);
        Assert.InRange(whole.Batches().Take(steps - 1).Sum(Rest), 0, (2 * news.Tokens) - 1);

        long Rest(PlannedBatch batch) =>
            batch.Sequences.Where(step => step.Set == 0).Sum(step => (long)news.Groups[step.Group].Lengths[step.Row]);
    }

    [Fact]
    public async Task RunAsync_Rehearsal_ForgetsLessAndResumesToTheSameBits()
    {
        var options = await LearnedAsync();
        var rehearsed = options with
        {
            Rehearsal = new Rehearsal { Traces = [_old.Path], Share = 0.5 },
            EvalTraces = _old.Path,
        };
        using var stop = new CancellationTokenSource();
        var observer = new RecordingObserver();

        await TrainStage.RunAsync(options with { EvalTraces = _old.Path }, Folder.Out("plain"), observer, Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(rehearsed, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );
        var whole = new RecordingObserver();
        await TrainStage.RunAsync(rehearsed, Folder.Out("whole"), whole, Token);

        Assert.Equal(Weights("whole"), await TrainAsync(rehearsed, "resumed"));
        Assert.Contains(
            "rehearsal: 20 sequences, 50.0 % of the tokens of each step",
            whole.Messages.Select(line => line.Replace("50.0%", "50.0 %"))
        );
        Assert.True(LastLoss(whole) < 0.9 * LastLoss(observer), $"{LastLoss(whole)}, without {LastLoss(observer)}");
    }

    /// <summary>Held-out problems are of what is learned now; what is rehearsed is rehearsed whole, or as much as is asked for.</summary>
    [Fact]
    public async Task RunAsync_RehearsalBesideHeldOutProblems_HoldsOutNoneOfTheOldTraces()
    {
        var options = await LearnedAsync() with { EvalFraction = 0.5, MaxTraces = 12 };
        var rehearsal = new Rehearsal { Traces = [_old.Path] };

        var plain = await RunAsync(options, "plain");

        Assert.Equal(plain.Sequences + 20, (await RunAsync(options with { Rehearsal = rehearsal }, "all")).Sequences);
        Assert.Equal(
            plain.Sequences + 3,
            (await RunAsync(options with { Rehearsal = rehearsal with { MaxTraces = 3 } }, "some")).Sequences
        );
    }

    [Theory]
    [InlineData(FisherLabels.Model)]
    [InlineData(FisherLabels.Empirical)]
    public async Task RunAsync_Ewc_ForgetsLessAndResumesToTheSameBits(FisherLabels labels)
    {
        var options = await LearnedAsync() with { EvalTraces = _old.Path };
        var held = options with
        {
            Ewc = new Ewc
            {
                Traces = [_old.Path],
                Weight = 1_000,
                FisherSamples = 5,
                Fisher = labels,
            },
        };
        using var stop = new CancellationTokenSource();
        RecordingObserver plain = new(),
            whole = new(),
            resumed = new();

        await TrainStage.RunAsync(options, Folder.Out("plain"), plain, Token);
        await TrainStage.RunAsync(held, Folder.Out("whole"), whole, Token);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(held, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );
        var measured = Path.Combine(Folder.Out("resumed"), ".training.once-fisher");
        Assert.True(File.Exists(measured));
        await TrainStage.RunAsync(held, Folder.Out("resumed"), resumed, Token);

        Assert.Equal(Weights("whole"), Weights("resumed"));
        Assert.Contains("ewc: Fisher information measured on 5 sequences of what was learned before", whole.Messages);
        Assert.DoesNotContain(resumed.Messages, line => line.StartsWith("ewc:", StringComparison.Ordinal));
        Assert.False(File.Exists(measured));
        Assert.True(LastLoss(whole) < 0.9 * LastLoss(plain), $"{LastLoss(whole)}, without {LastLoss(plain)}");
        Assert.Contains(whole.Values, values => values.TryGetValue("loss_ewc", out var penalty) && penalty > 0);
        // Of no weight it is not there, bit for bit.
        Assert.Equal(Weights("plain"), await TrainAsync(held with { Ewc = held.Ewc with { Weight = 0 } }, "of no weight"));
    }

    /// <summary>Why ewc is refused beside lora_r: of A · B, whose B is 0 at first, it would hold B and leave A.</summary>
    [Fact]
    public void Estimate_AdaptersAtTheirStart_HaveNoInformationOfA()
    {
        using var student = SampleSequences.Parameters();
        using var adapter = new LoraAdapter(student, new LoraSettings(2, 4, 0, [LoraAdapter.AllLinear], UseDora: false), seed: 1);
        var trained = TrainedWeights.Of(adapter);
        using var fisher = new FloatBuffer(trained.Count);
        using var workers = new GradientWorkers(trained, 1, 1_000);

        FisherInformation.Estimate(fisher, workers, SampleSequences.Create(4), FisherLabels.Model, seed: 1, cancellationToken: Token);

        var values = new float[trained.Count];
        fisher.Read(0, values);
        foreach (var name in trained.Names)
        {
            var own = values.AsSpan((int)trained.Weights.OffsetOf(name), (int)trained.Weights.ShapeOf(name).ElementCount()).ToArray();
            Assert.Equal(name.Contains("lora_B", StringComparison.Ordinal), own.Any(value => value > 0));
        }
    }

    [Fact]
    public async Task RunAsync_EwcWhoseFileIsDamaged_IsRefusedByName()
    {
        var options = await LearnedAsync() with { Ewc = new Ewc { Traces = [_old.Path] } };
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );
        var measured = Path.Combine(Folder.Out("resumed"), ".training.once-fisher");
        File.WriteAllBytes(measured, File.ReadAllBytes(measured)[..^1]);

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "resumed"));

        Assert.StartsWith($"{measured}: the checkpoint is truncated or damaged", error.Message);
    }

    [Fact]
    public async Task RunAsync_NothingToRehearseOrToMeasureOn_IsRefusedByName()
    {
        var options = await LearnedAsync();
        using var empty = new TraceFolder();
        await empty.WriteAsync([empty.Create(1) with { FinishReason = "length" }]);

        var rehearsal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(options with { Rehearsal = new Rehearsal { Traces = [empty.Path] } }, "rehearsal")
        );
        var ewc = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(options with { Ewc = new Ewc { Traces = [empty.Path] } }, "ewc")
        );

        Assert.Equal(
            $"{empty.Path}: nothing to train on: its traces are unfinished, not correct, too long or held out; leave it out of rehearsal",
            rehearsal.Message
        );
        Assert.StartsWith($"ewc: {empty.Path}: no trace to measure on: 1 unfinished, 0 not correct", ewc.Message);
    }

    [Fact]
    public void Validate_LifelongSettingsThatMeanNothing_AreRefused()
    {
        var ewc = new Ewc { Traces = ["old"] };
        Assert.Equal("holds a student to the weights that it begins with; name it with student", Refused(Options with { Ewc = ewc }));
        Assert.StartsWith("is of the model's own weights: adapters begin with B = 0", Refused(Tuned with { Ewc = ewc, LoraR = 4 }));
        Assert.Null(
            Refused(
                Tuned with
                {
                    Ewc = ewc,
                    Rehearsal = new Rehearsal { Traces = ["old"] },
                }
            )
        );
        Assert.Equal(
            $"{Folder.Path} is listed 2 times; give it a larger weight instead",
            Refused(Tuned with { Rehearsal = new Rehearsal { Traces = [Folder.Path] } })
        );

        static string? Refused(TrainOptions options) => options.Validate(new ValidationContext(options)).SingleOrDefault()?.ErrorMessage;
    }

    /// <summary>A student that has learned the old traces, and is to learn others.</summary>
    async Task<TrainOptions> LearnedAsync()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await _old.WriteAsync(Enumerable.Range(1, 20).Select(i => _old.Create(7_000 + (13 * i))));
        await RunAsync(
            Options with
            {
                Traces = [_old.Path],
                Tokenizer = Path.Combine(Folder.Path, TrainStage.StoredTokenizer),
                MaxSteps = 60,
                LearningRate = 1e-2,
            },
            "base"
        );
        return Tuned with { MaxSteps = 12, LearningRate = 5e-3 };
    }

    static CancellationToken Token => TestContext.Current.CancellationToken;

    static double LastLoss(RecordingObserver observer) => observer.Values.Last(values => values.ContainsKey("eval_ce"))["eval_ce"];

    float[] Weights(string name)
    {
        using var model = ModelDirectory.Load(Folder.Out(name));
        return model.Flat.Span.ToArray();
    }
}
