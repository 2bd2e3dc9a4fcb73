using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Shards;
using TraceDistill.Data.Traces;
using TraceDistill.Models;
using TraceDistill.Models.Checkpoints;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Distributions;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using TraceDistill.Training.Tests.Distillation;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Teaching;

/// <summary>Several teachers, stored or run, teach by one distribution.</summary>
public sealed class TeacherPanelTests : TrainStageCase, IDisposable
{
    readonly TraceFolder _second = new();

    static readonly PanelMember[] Mixed = [new(null, 2, 1), new(0, 1, 1), new(null, 1, 1)];

    /// <summary>All models are written in float64 as well: the loss is the formula's, its slopes are central differences.</summary>
    [Theory]
    [Trait("Category", "Numeric")]
    [InlineData(TeacherAverage.Probability)]
    [InlineData(TeacherAverage.Log)]
    public void Accumulate_TwoModelsAndStoredTargets_HasLossAndSlopesOfTheFormula(TeacherAverage average)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var student = SampleSequences.Parameters();
        using var first = new ModelParameters(SampleSequences.Shape with { HiddenSize = 48, NumHiddenLayers = 3 });
        using var second = new ModelParameters(SampleSequences.Shape);
        first.Initialize(9);
        second.Initialize(10);
        const double Temperature = 1.5;
        var batch = SampleSequences.Create(4);
        var reference = new ReferenceLlama(student);
        ReferenceLlama[] models = [new(first), new(second)];
        double[][][][] p = [.. models.Select(model => batch.Select(sequence => Rows(model, sequence.Ids)).ToArray())];
        double[][][] taught = [.. batch.Select((sequence, index) => Taught(sequence, index))];
        var plan = ObjectivePlan.Classic(0.8, Temperature);

        var (totals, gradient) = Accumulate(student, [first, second], batch, plan, Mixed, average: average);

        var tolerance = Rounding.OfBackward(SampleSequences.Shape, 30);
        Assert.Equal(Formula(), totals.Loss, tolerance * totals.Loss);
        Assert.All(totals.Panel!.Weights.Zip([0.5, 0.25, 0.25]), pair => Assert.Equal(pair.Second, pair.First / totals.Panel.Tokens, 1e-9));
        CentralDifferences.Check(gradient, direction => CentralDifferences.Along(reference, student, direction, Formula), tolerance);

        double[][] Taught(TraceTokens sequence, int index)
        {
            var soft = sequence.Soft!.Read();
            return
            [
                .. Enumerable
                    .Range(0, sequence.Trained)
                    .Select(row =>
                    {
                        var spread = Math.Exp(soft.Tail[row]) / (SampleSequences.Shape.VocabSize - soft.K);
                        double[] stored = [.. Enumerable.Repeat(spread, SampleSequences.Shape.VocabSize)];
                        for (var i = row * soft.K; i < (row + 1) * soft.K; i++)
                        {
                            stored[soft.Ids[i]] = Math.Exp(soft.Logprobs[i]);
                        }

                        double[][] all =
                        [
                            ReferenceLoss.Softmax(p[0][index][sequence.FirstTrained + row - 1]),
                            [.. stored.Select(value => value / stored.Sum())],
                            ReferenceLoss.Softmax(p[1][index][sequence.FirstTrained + row - 1]),
                        ];
                        double[] weights = [0.5, 0.25, 0.25];
                        double[] joined =
                        [
                            .. stored.Select(
                                (_, id) =>
                                    average == TeacherAverage.Probability
                                        ? all.Zip(weights, (q, w) => w * q[id]).Sum()
                                        : Math.Exp(all.Zip(weights, (q, w) => w * Math.Log(q[id])).Sum())
                            ),
                        ];
                        return joined.Select(value => value / joined.Sum()).ToArray();
                    }),
            ];
        }

        double Formula() =>
            batch
                .Index()
                .Sum(at =>
                {
                    var q = Rows(reference, at.Item.Ids);
                    return Enumerable
                        .Range(0, at.Item.Trained)
                        .Sum(row =>
                        {
                            var token = at.Item.FirstTrained + row;
                            double[] t = ReferenceLoss.Softmax([.. taught[at.Index][row].Select(value => Math.Log(value) / Temperature)]),
                                s = ReferenceLoss.Softmax([.. q[token - 1].Select(value => value / Temperature)]);
                            var kl = t.Zip(s, (a, b) => a * Math.Log(a / b)).Sum();
                            var ce = -Math.Log(ReferenceLoss.Softmax(q[token - 1])[at.Item.Ids[token]]);
                            return (0.8 * Temperature * Temperature * kl) + (0.2 * ce);
                        });
                });
    }

    /// <summary>The gate's gradient is central differences of its loss by each of its weights, whatever the teachers are.</summary>
    [Theory]
    [Trait("Category", "Numeric")]
    [InlineData(TeacherAverage.Probability, false)]
    [InlineData(TeacherAverage.Log, false)]
    [InlineData(TeacherAverage.Probability, true)]
    [InlineData(TeacherAverage.Log, true)]
    public void Accumulate_Gate_HasTheGradientOfCentralDifferences(TeacherAverage average, bool hasModel)
    {
        using var student = SampleSequences.Parameters();
        using var teacher = SampleSequences.Parameters(SampleSequences.Shape with { NumHiddenLayers = 3 });
        var batch = TwoTold(3);
        PanelMember[] members = hasModel ? [new(0, 1, 1), new(null, 2, 2), new(1, 1, 1)] : [new(0, 1, 1), new(1, 2, 2)];
        var gate = new TeacherGate(members.Length, SampleSequences.Shape.HiddenSize);
        var random = new Random(2);
        foreach (ref var weight in gate.Weights)
        {
            weight = (random.Next(1 << 10) - (1 << 9)) / (float)(1 << 10); // and steps of a power of two, both without rounding
        }

        var plan = ObjectivePlan.Classic(0.5, 1);

        var (totals, _) = Run();

        var scale = totals.Panel!.GateGradient.Max(Math.Abs);
        foreach (var at in Enumerable.Range(0, gate.Weights.Length).Where(at => at % 7 == 0))
        {
            const float Step = 1f / (1 << 8);
            gate.Weights[at] += Step;
            var up = Run().Totals.Panel!.GateLoss;
            gate.Weights[at] -= 2 * Step;
            var down = Run().Totals.Panel!.GateLoss;
            gate.Weights[at] += Step;

            // Third derivatives of a softmax are at most of the size of its slopes; of models the distributions are float32.
            Assert.Equal((up - down) / (2 * Step), totals.Panel.GateGradient[at], scale * (hasModel ? 1e-3 : 1e-4));
        }

        (LossTotals Totals, float[] Gradient) Run() =>
            Accumulate(student, hasModel ? [teacher] : [], batch, plan, members, TeacherWeights.Gate, average, gate);
    }

    [Theory]
    [Trait("Category", "Numeric")]
    [InlineData(TeacherWeights.Gate, false)]
    [InlineData(TeacherWeights.Gate, true)]
    [InlineData(TeacherWeights.Entropy, true)]
    public void Accumulate_OtherWorkers_GivesTheSameBits(TeacherWeights rule, bool hasModel)
    {
        using var student = SampleSequences.Parameters();
        using var teacher = SampleSequences.Parameters(SampleSequences.Shape with { NumHiddenLayers = 3 });
        var batch = TwoTold(12);
        PanelMember[] members = [new(0, 1, 1), hasModel ? new(null, 2, 2) : new(1, 2, 2)];
        var plan = ObjectivePlan.Classic(0.8, 1);

        var (totals, gradient) = Run(1);
        var (otherTotals, otherGradient) = Run(3);

        Assert.Equal(gradient, otherGradient);
        Assert.Equal(totals.Loss, otherTotals.Loss);
        Assert.Equal(totals.Panel!.GateGradient, otherTotals.Panel!.GateGradient);
        Assert.Equal(totals.Panel.Weights, otherTotals.Panel.Weights);

        (LossTotals Totals, float[] Gradient) Run(int workers) =>
            Accumulate(
                student,
                hasModel ? [teacher] : [],
                batch,
                plan,
                members,
                rule,
                gate: rule == TeacherWeights.Gate ? new TeacherGate(2, SampleSequences.Shape.HiddenSize) : null,
                workers: workers
            );
    }

    /// <summary>Two that say the same are one, whatever weighs them.</summary>
    [Theory]
    [Trait("Category", "Numeric")]
    [InlineData(MissingMass.TailBucket)]
    [InlineData(MissingMass.Renormalize)]
    [InlineData(MissingMass.UniformTail)]
    [InlineData(MissingMass.ResidualToLabel)]
    [InlineData(MissingMass.Truncate)]
    public void Accumulate_TheSameTeacherTwice_IsThatTeacher(MissingMass missingMass)
    {
        using var student = SampleSequences.Parameters();
        var batch = SampleSequences.Create(6);
        TraceTokens[] twice = [.. batch.Select(sequence => sequence with { Further = [sequence.Soft] })];
        var plan = ObjectivePlan.Classic(0.8, 1.5, missingMass);

        var (one, gradient) = Accumulate(student, [], batch, plan, members: null);
        foreach (var average in Enum.GetValues<TeacherAverage>())
        {
            var (two, other) = Accumulate(student, [], twice, plan, [new(0, 1, 1), new(1, 3, 3)], TeacherWeights.Confidence, average);

            Assert.Equal(one.Loss, two.Loss, 1e-6 * one.Loss);
            Assert.InRange(SampleSequences.Distance(gradient, other), 0, Rounding.OfBackward(SampleSequences.Shape, 30));
        }
    }

    [Fact]
    public async Task RunAsync_InterruptedWithAGate_GoesOnToTheBitsOfAnUninterruptedRun()
    {
        var scores = await WriteTwoAsync();
        await RunAsync(Options, "teacher");
        var options = Options with
        {
            Teachers = [Own, Scores(scores), Folder.Out("teacher")],
            TeacherWeights = TeacherWeights.Gate,
            TeacherGateLearningRate = 0.1,
            LoggingSteps = 1,
        };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            TrainStage.RunAsync(options, Folder.Out("resumed"), new CancelAt(5, stop), stop.Token)
        );
        var (whole, resumed) = (new RecordingObserver(), new RecordingObserver());

        Assert.Equal(await TrainAsync(options, "whole", whole), await TrainAsync(options, "resumed", resumed));
        Assert.Equal(whole.Values[^1]["loss_gate"], resumed.Values[^1]["loss_gate"]);
        Assert.Equal(1.0 / 3, whole.Values[0]["teacher_weight_1"], 1e-12);
        Assert.NotEqual(whole.Values[0]["teacher_weight_1"], whole.Values[^1]["teacher_weight_1"]);
        Assert.All(whole.Values, step =>
            Assert.Equal(1, step.Where(value => value.Key.StartsWith("teacher_w")).Sum(value => value.Value), 1e-9)
        );
        Assert.NotEqual(
            whole.Values[^1]["loss"],
            (await LastAsync(options with { TeacherWeights = default, TeacherGateLearningRate = 0.01 }))["loss"]
        );
    }

    /// <summary>A gate finds out which of two teachers expects what was drawn.</summary>
    [Fact]
    public async Task RunAsync_GateBetweenATeacherThatKnowsAndOneThatDoesNot_TakesTheFirst()
    {
        var scores = await WriteTwoAsync(shift: 3); // the second one's best is never the drawn token

        var observer = new RecordingObserver();
        var options = Options with
        {
            Teachers = [Own, Scores(scores)],
            TeacherWeights = TeacherWeights.Gate,
            TeacherGateLearningRate = 0.1,
            MaxSteps = 40,
            LoggingSteps = 1,
            BatchTokens = 4_000, // all of them, so that losses can be compared
        };

        await TrainAsync(options, "gated", observer);

        Assert.InRange(observer.Values[^1]["teacher_weight_1"], 0.9, 1);
        Assert.InRange(observer.Values[^1]["loss_gate"], 0, observer.Values[0]["loss_gate"] - 0.1);
    }

    /// <summary>The mean of two stored teachers is the soft targets of one whose traces hold it.</summary>
    [Fact]
    public async Task RunAsync_TwoStoredTeachers_LearnsAsFromTheirMean()
    {
        using var mean = new TraceFolder();
        await mean.WriteAsync(Enumerable.Range(1, 20).Select(index => Shifted(mean.Create(index), 0, [0.4, 0.2, 0.15, 0.075])));
        await Folder.WriteAsync(
            Enumerable.Range(1, 20).Select(index => Shifted(Folder.Create(index), 0, [0.6, 0.2, 0.1, 0.05])),
            SoftTargetLayout.Plain
        );
        using var second = new TraceFolder();
        await second.WriteAsync(
            Enumerable.Range(1, 20).Select(index => Shifted(second.Create(index), 0, [0.2, 0.2, 0.2, 0.1])),
            SoftTargetLayout.Plain
        );
        var options = Options with { MaxSteps = 3 };

        var (averaged, single) = (
            await RunAsync(options with { Teachers = [Own, Scores(second.Path)] }, "averaged"),
            await RunAsync(options with { Traces = [mean.Path] }, "single")
        );

        Assert.Equal(single.Loss, averaged.Loss, 2e-3 * single.Loss); // the compact layout of one of them has a grid
    }

    /// <summary>One that scores folder alone takes the place of what stands in the traces.</summary>
    [Fact]
    public async Task RunAsync_ScoresAlone_TeachInPlaceOfTheTracesOwn()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var second = new TraceFolder();
        await second.WriteAsync(Enumerable.Range(1, 20).Select(index => Shifted(second.Create(index), 3, [0.5, 0.2, 0.1, 0.05])));
        using var same = new TraceFolder();
        await same.WriteAsync(Enumerable.Range(1, 20).Select(index => Shifted(same.Create(index), 3, [0.5, 0.2, 0.1, 0.05])));

        var taught = await TrainAsync(Options with { Teachers = [Scores(second.Path)] }, "taught");

        Assert.Equal(await TrainAsync(Options with { Traces = [same.Path] }, "same"), taught);
        Assert.NotEqual(await TrainAsync(Options, "own"), taught);
    }

    [Theory]
    [InlineData(19, "has 19 rows, the first of trace 00000000000000000000000000000001, and so is of other traces than these")]
    [InlineData(20, "row 2 is of the trace 00000000000000000000000000000008 and not of 00000000000000000000000000000003")]
    public async Task RunAsync_ScoresOfOtherTraces_AreRefusedByRow(int rows, string expected)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var second = new TraceFolder();
        await second.WriteAsync(Enumerable.Range(1, rows).Select(index => second.Create(index == 3 && rows == 20 ? 8 : index)));

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { Teachers = [Own, Scores(second.Path)] }, "student")
        );

        Assert.Contains(expected, error.Message);
        Assert.Contains(second.Path, error.Message);
    }

    /// <summary>Rows are joined by position, whatever the row groups are.</summary>
    [Fact]
    public async Task RunAsync_ScoresInOtherRowGroups_AreTheSameTargets()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create), rowGroupBytes: 2_000);
        using TraceFolder whole = new(),
            cut = new();
        await whole.WriteAsync(Enumerable.Range(1, 20).Select(index => Shifted(whole.Create(index), 3, [0.5, 0.2, 0.1, 0.05])));
        await cut.WriteAsync(
            Enumerable.Range(1, 20).Select(index => Shifted(cut.Create(index), 3, [0.5, 0.2, 0.1, 0.05])),
            rowGroupBytes: 3_000
        );

        Assert.Equal(
            await TrainAsync(Options with { Teachers = [Own, Scores(whole.Path)] }, "whole"),
            await TrainAsync(Options with { Teachers = [Own, Scores(cut.Path)], ShuffleBufferMb = 1 }, "cut")
        );
    }

    /// <summary>Rows that were not scored are counted, and the other teachers speak of them alone.</summary>
    [Fact]
    public async Task RunAsync_RowsThatWereNotScored_AreCounted()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var second = new TraceFolder();
        await second.WriteAsync(
            Enumerable.Range(1, 20).Select(index => second.Create(index) is var trace && index % 4 == 0 ? Without(trace) : trace)
        );
        var observer = new RecordingObserver();

        await TrainAsync(
            Options with
            {
                Teachers = [Own, Scores(second.Path)],
                LoggingSteps = 1,
                BatchTokens = 4_000,
            },
            "counted",
            observer
        );

        Assert.Contains($"{second.Path}: of 20 traces 5 were not scored: the other teachers speak of them alone", observer.Messages);
        Assert.InRange(observer.Values[0]["teacher_weight_1"], 0.6, 0.65);
    }

    /// <summary>A teacher of another vocabulary is aligned to the student's text, and counts beside one that needs no alignment.</summary>
    [Fact]
    public async Task RunAsync_ScoresOfAnotherVocabulary_AreAligned()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var other = new TraceFolder("and 1 and 2 are 3 are are", 275);
        Assert.NotEqual(Folder.Tokenizer.Hash, other.Tokenizer.Hash);
        await other.WriteAsync(Enumerable.Range(1, 20).Select(other.Create));
        var observer = new RecordingObserver();

        await TrainAsync(Options with { Teachers = [Own, Scores(other.Path)], LoggingSteps = 1 }, "aligned", observer);

        Assert.Contains(observer.Messages, message => message.StartsWith("soft-target coverage after alignment", StringComparison.Ordinal));
        Assert.DoesNotContain(observer.Messages, message => message.Contains("speak of them alone", StringComparison.Ordinal));
        Assert.InRange(observer.Values[0]["teacher_weight_2"], 0.3, 0.5);
    }

    /// <summary>Of incorrect traces the one that wrote them does not teach.</summary>
    [Fact]
    public async Task RunAsync_WeightsByVerdict_LeaveTheWriterOutWhereItWasWrong()
    {
        await Folder.WriteAsync(
            Enumerable.Range(1, 20).Select(index => Folder.Create(index) with { Verdict = index % 2 == 0 ? "incorrect" : "correct" })
        );
        using var second = new TraceFolder();
        await second.WriteAsync(Enumerable.Range(1, 20).Select(second.Create));
        var options = Options with { LoggingSteps = 1, BatchTokens = 4_000, TeacherWeights = TeacherWeights.Verdict, MaxSteps = 1 };

        var values = await LastAsync(options with { Teachers = [Own, Scores(second.Path)] });
        var others = await LastAsync(
            options with
            {
                Teachers = [Own with { Weight = 3, IncorrectWeight = 1 }, Scores(second.Path)],
            },
            "others"
        );

        Assert.InRange(values["teacher_weight_1"], 0.2, 0.3);
        Assert.InRange(others["teacher_weight_1"], 0.6, 0.65);
    }

    /// <summary>Held-out traces of the same set are compared with all teachers, those of another one with whoever speaks of them.</summary>
    [Fact]
    public async Task RunAsync_HeldOutTraces_AreComparedWithTheTeachersMean()
    {
        var scores = await WriteTwoAsync();
        var observer = new RecordingObserver();
        var options = Options with { Teachers = [Own, Scores(scores)], EvalSteps = 4, MetricForBestModel = HeldOutMetric.Kl };

        await TrainAsync(options with { EvalFraction = 0.3 }, "fraction", observer);
        await TrainAsync(options with { EvalTraces = Folder.Path }, "same", observer);
        using var bare = new TraceFolder();
        await bare.WriteAsync(Enumerable.Range(1, 7).Select(index => Without(bare.Create(index))));
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options with { EvalTraces = bare.Path }, "none"));

        Assert.Equal(4, observer.Values.Count(values => values.TryGetValue("eval_kl", out var kl) && kl > 0));
        Assert.StartsWith("metric_for_best_model: kl is of soft targets", error.Message);
    }

    /// <summary>Worked solutions have models for teachers alone, and a batch may be all of them.</summary>
    [Fact]
    public async Task RunAsync_WorkedSolutionsBesideStoredTeachers_HaveTheModelsForTeachers()
    {
        var scores = await WriteTwoAsync();
        await RunAsync(Options, "teacher");
        var problems = Folder.Out("problems.jsonl");
        await File.WriteAllLinesAsync(
            problems,
            Enumerable.Range(1, 30).Select(index => $$"""{"problem": "add {{index}}", "solution": "so", "answer": "{{index}}"}"""),
            TestContext.Current.CancellationToken
        );

        var values = await LastAsync(
            Options with
            {
                Problems = problems,
                Teachers = [Own, Scores(scores), Folder.Out("teacher")],
                BatchTokens = 20,
                LoggingSteps = 1,
            }
        );

        Assert.True(double.IsFinite(values["loss"]));
    }

    [Fact]
    public void Validate_SettingsThatDoNotGoTogether_AreRefusedByName()
    {
        TrainOptions stored = Options with { Teachers = [Own, Scores("a")] },
            run = Options with { Teachers = ["model", "other"] },
            both = Options with { Teachers = [Own, "model"] };
        Assert.Empty(Refused(stored));
        Assert.Empty(Refused(run));
        Assert.Empty(Refused(both with { TeacherWeights = TeacherWeights.Gate, TeacherAverage = TeacherAverage.Log }));
        Assert.Empty(Refused(Options with { Teachers = [Scores("a")] }));
        Assert.Empty(Refused(stored with { TeacherWeights = TeacherWeights.Verdict }));
        Assert.Empty(Refused(With(run, new LogitMse())));
        Assert.Empty(Refused(run with { KdSampling = SoftTargetSampling.RandomSampling }));
        Assert.Empty(Refused(stored with { KdSampling = SoftTargetSampling.SampledTopK }));
        Assert.Empty(Refused(both with { KdTopK = 5, KdMissingMass = MissingMass.UniformTail }));
        Assert.Equal(["Teacher"], Refused(run with { Teacher = "third" }));
        Assert.Equal(["TeacherWeights"], Refused(Options with { TeacherWeights = TeacherWeights.Entropy }));
        Assert.Equal(["TeacherAverage"], Refused(Options with { Teachers = [Scores("a")], TeacherAverage = TeacherAverage.Log }));
        Assert.Equal(["TeacherGateLearningRate"], Refused(stored with { TeacherGateLearningRate = 1 }));
        Assert.Equal(["Teachers"], Refused(Options with { Teachers = [Own, Own] }));
        Assert.Equal(["Teachers"], Refused(Options with { Teachers = ["model", "./model"] }));
        Assert.Equal(["Teachers"], Refused(Options with { Teachers = [Own with { Weight = 0 }, Scores("a") with { Weight = 0 }] }));
        Assert.Equal(["Teachers"], Refused(Options with { Teachers = [Own with { IncorrectWeight = 0.5 }, Scores("a")] }));
        Assert.Equal(["TeacherWeights"], Refused(run with { TeacherWeights = TeacherWeights.Verdict }));
        Assert.Equal(["TeacherWeights"], Refused(stored with { TeacherWeights = TeacherWeights.Verdict, OnlyCorrect = true }));
        Assert.Equal(["Teachers"], Refused(stored with { Traces = [], Problems = "problems" }));
        Assert.Equal(["Teachers"], Refused(stored with { KdAlpha = Schedule.Constant(0) }));
        Assert.Equal(["Objectives"], Refused(With(both, new LogitMse())));
        Assert.Equal(["Objectives"], Refused(With(stored, new LogitMse())));
        Assert.Equal(["KdUldWeight"], Refused(stored with { KdUldWeight = 1 }));
        Assert.Equal(["KdSampling"], Refused(both with { KdSampling = SoftTargetSampling.RandomSampling }));
        Assert.Equal(["KdSampling"], Refused(both with { KdSampling = SoftTargetSampling.SampledTopK }));
        Assert.Equal(["KdMissingMass"], Refused(both with { KdMissingMass = MissingMass.UniformTail }));
        Assert.Equal(["TeacherDtype"], Refused(run with { TeacherDtype = MasterDtype.BFloat16 }));
        Assert.Equal(["Model"], RefusedTeacher(new TeacherChoice()));
        Assert.Equal(["Model"], RefusedTeacher(Own with { Model = "model" }));
        Assert.Equal(["Dtype"], RefusedTeacher(Own with { Dtype = MasterDtype.BFloat16 }));

        static TrainOptions With(TrainOptions options, Objective objective) =>
            options with
            {
                Objectives = [KnownObjectives.Choice(objective)],
            };
    }

    /// <summary>Draws beside another teacher's distribution are no draws of their mean.</summary>
    [Fact]
    public async Task RunAsync_DrawnSoftTargetsBesideOthers_AreRefused()
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        using var drawn = new TraceFolder();
        var draws = drawn.Dataset with { SampledLogprobs = TraceFolder.K };
        await drawn.WriteAsync(
            Enumerable.Range(1, 20).Select(index => Shifted(drawn.Create(index), 0, [0.25, 0.25, 0.25, 0.25])),
            dataset: draws
        );

        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(Options with { Teachers = [Own, Scores(drawn.Path)] }, "student")
        );

        Assert.StartsWith($"{drawn.Path}: its soft targets are {TraceFolder.K} draws", error.Message);
    }

    void IDisposable.Dispose()
    {
        _second.Dispose();
        Dispose();
    }

    static TeacherChoice Own => new() { Traces = true };

    static TeacherChoice Scores(string path) => new() { Scores = [path] };

    /// <summary>Traces with soft targets, and a second teacher's of the same.</summary>
    /// <returns>The second one's folder.</returns>
    async Task<string> WriteTwoAsync(int shift = 1)
    {
        await Folder.WriteAsync(Enumerable.Range(1, 20).Select(Folder.Create));
        await _second.WriteAsync(Enumerable.Range(1, 20).Select(index => Shifted(_second.Create(index), shift, [0.5, 0.2, 0.1, 0.1])));
        return _second.Path;
    }

    static Trace Without(Trace trace) => trace with { Logprobs = null, PromptTokenIds = [] };

    /// <summary>The same tokens with other alternatives.</summary>
    static Trace Shifted(Trace trace, int shift, double[] shares) =>
        trace with
        {
            Logprobs = trace.Logprobs! with
            {
                TopIds = [.. trace.Logprobs!.TopIds.Select(id => (id + (7 * shift)) % 250)],
                TopLogprobs = [.. trace.Logprobs.TopLogprobs.Select((_, i) => (float)Math.Log(shares[i % TraceFolder.K]))],
            },
        };

    async Task<float[]> TrainAsync(TrainOptions options, string name, RecordingObserver observer)
    {
        await TrainStage.RunAsync(options, Folder.Out(name), observer, TestContext.Current.CancellationToken);
        using var trained = ModelDirectory.Load(Folder.Out(name));
        return trained.Flat.Span.ToArray();
    }

    async Task<IReadOnlyDictionary<string, double>> LastAsync(TrainOptions options, string name = "last")
    {
        var observer = new RecordingObserver();
        await TrainAsync(options, name, observer);
        return observer.Values[^1];
    }

    static TraceTokens[] TwoTold(int count) =>
        [
            .. SampleSequences
                .Create(count)
                .Select(
                    (sequence, index) =>
                        sequence with
                        {
                            Further =
                            [
                                index % 3 == 2
                                    ? null
                                    : SampleSequences.SoftTargetsOf(sequence.Ids, row =>
                                        [
                                            .. Enumerable
                                                .Range(0, 4)
                                                .Select(i => ((sequence.Ids[5 + row] + (5 * (i + 1))) % 40, Math.Log(0.4 / (1 << i)))),
                                        ]
                                    ),
                            ],
                        }
                ),
        ];

    static IEnumerable<string> Refused(TrainOptions options) =>
        options.Validate(new ValidationContext(options)).Select(problem => problem.MemberNames.Single());

    static IEnumerable<string> RefusedTeacher(TeacherChoice teacher) =>
        teacher.Validate(new ValidationContext(teacher)).Select(problem => problem.MemberNames.Single());

    static double[][] Rows(ReferenceLlama reference, int[] ids)
    {
        using var scope = NewDisposeScope();
        return [.. reference.Logits(ids).data<double>().ToArray().Chunk(SampleSequences.Shape.VocabSize)];
    }

    static (LossTotals Totals, float[] Gradient) Accumulate(
        ModelParameters student,
        IReadOnlyList<ModelParameters> teachers,
        IReadOnlyList<TraceTokens> batch,
        ObjectivePlan plan,
        PanelMember[]? members,
        TeacherWeights rule = TeacherWeights.Fixed,
        TeacherAverage average = TeacherAverage.Probability,
        TeacherGate? gate = null,
        int workers = 2
    )
    {
        var weights = TrainedWeights.All(student);
        TeacherModel[] models = [.. teachers.Select(teacher => new TeacherModel(teacher, isOwned: false))];
        var panel = members is null
            ? null
            : new TeacherPanel
            {
                Members = members,
                Models = models,
                Rule = rule,
                Average = average,
                Gate = gate,
            };
        return TestDevice.With(weights, () =>
        {
            Array.ForEach(models, model => model.MoveTo(weights.Model.Device, ComputeDtype.Float32));
            using var all = new GradientWorkers(weights, workers, 60, panel: panel);
            var totals = all.Accumulate(batch, plan.At(TrainingPoint.First));
            var slopes = new float[weights.Count];
            all.Gradient.Read(0, slopes);
            Array.ForEach(models, model => model.Dispose());
            return (totals, slopes);
        });
    }
}
