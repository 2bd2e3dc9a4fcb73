using System.ComponentModel.DataAnnotations;
using TraceDistill.Data.Contracts;
using TraceDistill.Data.Problems;
using TraceDistill.Models;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Text.Chat;
using TraceDistill.Text.Errors;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Distillation;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using TraceDistill.Training.Tests.Distillation;
using TraceDistill.Training.Tests.Objectives;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Teaching;

/// <summary>Models that teach behind a prompt of their own: the problem with its solution, of which the student sees nothing.</summary>
public sealed class TeacherPromptTests : TrainStageCase
{
    const int Vocabulary = 40;

    /// <summary>Both models are written in float64; the teacher's rows are those behind its own prompts, longer and shorter ones.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void Accumulate_PromptsOfTheTeachersOwn_HasLossAndSlopesOfTheDenseFormula()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var student = SampleSequences.Parameters();
        using var teacher = SampleSequences.Parameters(SampleSequences.Shape with { HiddenSize = 48, NumHiddenLayers = 3 });
        var batch = Privileged(SampleSequences.Create(4));
        var (reference, taught) = (new ReferenceLlama(student), new ReferenceLlama(teacher));
        double[][][] p = [.. batch.Select(sequence => Completion(taught, ReadByTeacher(sequence), sequence.Trained))];

        var (totals, gradient) = Accumulate(student, teacher, batch, ObjectivePlan.Classic(1, 1));

        var tolerance = Rounding.OfBackward(SampleSequences.Shape, 40);
        Assert.Equal(Formula(), totals.Loss, tolerance * totals.Loss);
        CentralDifferences.Check(gradient, direction => CentralDifferences.Along(reference, student, direction, Formula), tolerance);

        double Formula() =>
            batch.Zip(p, (sequence, rows) => rows.Zip(Completion(reference, sequence.Ids, sequence.Trained), Kl).Sum()).Sum();
    }

    /// <summary>What both models hold of each completion token, though it stands at other positions for the teacher.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void Accumulate_StatesBehindAnotherPrompt_AreComparedTokenByToken()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var student = SampleSequences.Parameters();
        using var teacher = SampleSequences.Parameters(SampleSequences.Shape with { NumHiddenLayers = 3 });
        var batch = Privileged(SampleSequences.Create(4));
        var (own, taught) = (new ReferenceLlama(student), new ReferenceLlama(teacher));
        var plan = new ObjectivePlan
        {
            Objectives =
            [
                new HiddenStates
                {
                    Distance = StateDistance.Mse,
                    Layers = LayerMap.Parse("0:1", null),
                    Projection = StateProjection.None,
                },
            ],
        };

        var (totals, _) = Accumulate(student, teacher, batch, plan);

        var expected = batch.Sum(sequence =>
            Stream(own, sequence.Ids, 0, sequence.Trained)
                .Zip(Stream(taught, ReadByTeacher(sequence), 1, sequence.Trained), (a, b) =>
                    a.Zip(b, (x, y) => (x - y) * (x - y)).Average()
                )
                .Sum()
        );
        Assert.Equal(expected, totals.Loss, Rounding.OfBackward(SampleSequences.Shape, 40) * expected);
    }

    /// <summary>KL on held-out sequences is that to the teacher behind its own prompt.</summary>
    [Fact]
    [Trait("Category", "Numeric")]
    public void Score_HeldOutSequences_AreComparedWithTheTeacherBehindItsPrompt()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var student = SampleSequences.Parameters();
        using var teacher = SampleSequences.Parameters(SampleSequences.Shape with { NumHiddenLayers = 3 });
        var batch = Privileged(SampleSequences.Create(5));
        var (reference, taught) = (new ReferenceLlama(student), new ReferenceLlama(teacher));
        using var model = new TeacherModel(teacher, isOwned: false);

        var scores = new HeldOutTraces(batch, tokens: 60, workers: 2, teacher: model).Score(
            TrainedWeights.All(student),
            alpha: 1,
            TestContext.Current.CancellationToken
        );

        var rows = batch
            .SelectMany(sequence =>
                Completion(taught, ReadByTeacher(sequence), sequence.Trained).Zip(Completion(reference, sequence.Ids, sequence.Trained), Kl)
            )
            .ToList();
        Assert.Equal(rows.Average(), scores.Kl, 1e-4 * rows.Average());
        Assert.Equal(rows.Count, scores.Tokens);
    }

    public static TheoryData<string> Teachers => ["teacher", "teachers", "self", "peers", "two peers"];

    [Theory]
    [MemberData(nameof(Teachers))]
    public async Task RunAsync_PromptThatIsTheStudentsOwn_GivesTheSameBits(string kind)
    {
        await WriteAsync();
        await RunAsync(Options with { Seed = 5 }, "other");
        await RunAsync(Options with { Seed = 6 }, "third");
        var options = With(kind);

        var with = await TrainAsync(options with { TeacherPrompt = "same" }, "with", problem => problem.Conversation());

        Assert.Equal(await TrainAsync(options, "without"), with);
        Assert.NotEqual(await TrainAsync(options with { TeacherPrompt = "longer" }, "longer", WithAnswer), with);
    }

    [Theory]
    [InlineData("teacher")]
    [InlineData("self")]
    public async Task RunAsync_Interrupted_GoesOnToTheBitsOfAnUninterruptedRun(string kind)
    {
        await WriteAsync();
        await RunAsync(Options with { Seed = 5 }, "other");
        var options = With(kind) with { TeacherPrompt = "longer", EvalFraction = 0.2, EvalSteps = 4 };
        using var stop = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            RunAsync(options, "resumed", WithAnswer, new CancelAt(5, stop), stop.Token)
        );

        Assert.Equal(await TrainAsync(options, "whole", WithAnswer), await TrainAsync(options, "resumed", WithAnswer));
    }

    /// <summary>The teacher's prompt comes of the problem's own file, and not of what the trace tells.</summary>
    [Fact]
    public async Task RunAsync_Problems_AreJoinedByTheirIds()
    {
        await WriteAsync();
        await RunAsync(Options with { Seed = 5 }, "other");
        using var folder = new TemporaryDirectory();
        var (all, some) = (folder.File("all.jsonl"), folder.File("some.jsonl"));
        string[] lines =
        [
            .. Enumerable
                .Range(1, 20)
                .Select(index =>
                    $$"""{"id": "problem-{{index}}", "problem": "add {{index}}", "answer": "3", "solution": "so {{index}}"}"""
                ),
        ];
        File.WriteAllLines(all, lines.Reverse());
        File.WriteAllLines(some, lines.Take(7));
        var options = With("teacher") with { TeacherPrompt = "solution", TeacherProblems = [all] };
        var seen = new List<Problem>();

        await RunAsync(options, "student", problem => Seen(problem));

        Assert.Contains(seen, problem => problem is { Id: "problem-20", Text: "add 20", Solution: "so 20" });
        var error = await Assert.ThrowsAsync<InvalidInputException>(() =>
            RunAsync(options with { TeacherProblems = [some] }, "refused", WithAnswer)
        );
        Assert.StartsWith("teacher_problems: problem problem-8 of trace ", error.Message);
        Assert.EndsWith($"is not in {some}; name the files that the traces were collected from", error.Message);

        IReadOnlyList<ChatMessage> Seen(Problem problem)
        {
            lock (seen)
            {
                seen.Add(problem);
            }

            return WithAnswer(problem);
        }
    }

    [Fact]
    public async Task RunAsync_PromptThatTheTeacherHasNoPositionsFor_IsRefusedWithALengthThatItHas()
    {
        await WriteAsync();
        await RunAsync(Options with { Seed = 5 }, "other");
        var options = With("teacher") with { TeacherPrompt = "long" };

        var error = await Assert.ThrowsAsync<InvalidInputException>(() => RunAsync(options, "student", Long));

        Assert.Matches(@"^teacher: it has 64 positions, and the longest sequence \d+ tokens; set max_length: 64$", error.Message);
        var summary = await RunAsync(options with { MaxLength = 64 }, "left-out", problem =>
            problem.Id == "problem-4" ? Long(problem) : WithAnswer(problem)
        );
        Assert.Equal((19, 1), (summary.Sequences, summary.TooLong));

        static IReadOnlyList<ChatMessage> Long(Problem problem) =>
            [new ChatMessage("user", string.Join(' ', Enumerable.Repeat("long", 40)))];
    }

    /// <summary>A student from scratch that teaches itself gets positions for what it reads as a teacher.</summary>
    [Fact]
    public async Task RunAsync_SelfTeacherWithALongPrompt_HasPositionsForIt()
    {
        await WriteAsync();
        var options = Options with
        {
            Architecture = Options.Architecture! with { MaxPositionEmbeddings = null },
            SelfTeacherDecay = 0.5,
            TeacherPrompt = "long",
            MaxSteps = 2,
        };
        string words = string.Join(' ', Enumerable.Repeat("word", 1_000));

        await RunAsync(options, "student", problem => [new ChatMessage("user", words)]);

        var positions = Models.Configuration.ModelConfiguration.Load(Folder.Out("student")).MaxPositionEmbeddings;
        Assert.True(positions > Folder.Tokenizer.Encode(words).Length, $"{positions}");
    }

    [Fact]
    public void Validate_PromptOfNobody_IsRefused()
    {
        var options = With("teacher") with { TeacherPrompt = Path.Combine(AppContext.BaseDirectory, "prompts", "Privileged", "Answer") };

        Assert.Empty(Refused(options));
        Assert.Equal([nameof(TrainOptions.TeacherPrompt)], Refused(options with { Teacher = null }));
        Assert.Equal([nameof(TrainOptions.TeacherProblems)], Refused(options with { TeacherPrompt = null, TeacherProblems = ["x.jsonl"] }));
        Assert.Equal(
            [nameof(TrainOptions.Objectives), nameof(TrainOptions.Objectives)],
            Refused(
                options with
                {
                    Objectives =
                    [
                        new ObjectiveChoice { KlForward = new KlForward() },
                        new ObjectiveChoice { AttentionMaps = new AttentionMaps() },
                        new ObjectiveChoice { ValueRelations = new ValueRelations() },
                    ],
                }
            )
        );
    }

    Task WriteAsync() =>
        // Without ids of the prompt it is rendered, by the template that renders the teacher's.
        Folder.WriteAsync(Enumerable.Range(1, 20).Select(index => Folder.Create(index) with { PromptTokenIds = [] }));

    TrainOptions With(string kind) =>
        kind switch
        {
            "teacher" => Options with { Teacher = Folder.Out("other") },
            "teachers" => Options with { Teachers = [Folder.Out("other"), Folder.Out("third")] },
            "self" => Options with { SelfTeacherDecay = 0.5 },
            "peers" => Options with { Peers = [new PeerChoice()] },
            _ => Options with { Peers = [new PeerChoice(), new PeerChoice()] },
        };

    static IReadOnlyList<ChatMessage> WithAnswer(Problem problem) => [new ChatMessage("user", $"{problem.Text} {problem.Answer}")];

    async Task<float[]> TrainAsync(TrainOptions options, string name, Func<Problem, IReadOnlyList<ChatMessage>>? prompt)
    {
        await RunAsync(options, name, prompt);
        using var trained = Models.Checkpoints.ModelDirectory.Load(Folder.Out(name));
        return trained.Flat.Span.ToArray();
    }

    Task<TrainSummary> RunAsync(
        TrainOptions options,
        string name,
        Func<Problem, IReadOnlyList<ChatMessage>>? prompt,
        IRunObserver? observer = null,
        CancellationToken? stop = null
    ) =>
        TrainStage.RunAsync(
            options,
            Folder.Out(name),
            observer ?? SilentObserver.Instance,
            answers: null,
            published: null,
            prompt,
            stop ?? TestContext.Current.CancellationToken
        );

    static IEnumerable<string> Refused(TrainOptions options) =>
        options.Validate(new ValidationContext(options)).Select(problem => problem.MemberNames.Single());

    /// <summary>Prompts of 3 and 11 tokens in turns, and of one sequence its own.</summary>
    static TraceTokens[] Privileged(TraceTokens[] sequences) =>
        [
            .. sequences.Select(
                (sequence, index) =>
                    index == 2
                        ? sequence
                        : sequence with
                        {
                            TeacherPrompt = [.. Enumerable.Range(0, index % 2 == 0 ? 11 : 3).Select(i => ((7 * i) + index) % Vocabulary)],
                        }
            ),
        ];

    static int[] ReadByTeacher(TraceTokens sequence) =>
        sequence.TeacherPrompt is { } prompt ? [.. prompt, .. sequence.Ids[sequence.FirstTrained..]] : sequence.Ids;

    /// <summary>Probabilities from which the last tokens of a sequence are drawn.</summary>
    static double[][] Completion(ReferenceLlama reference, int[] ids, int count)
    {
        using var scope = NewDisposeScope();
        var rows = reference.Logits(ids).data<double>().ToArray().Chunk(Vocabulary).ToArray();
        return [.. rows[(ids.Length - count - 1)..^1].Select(row => ReferenceLoss.Softmax(row))];
    }

    /// <summary>What leaves a layer at the tokens that predict the last ones.</summary>
    static double[][] Stream(ReferenceLlama reference, int[] ids, int layer, int count)
    {
        using var scope = NewDisposeScope();
        reference.Streams.Clear();
        _ = reference.Logits(ids);
        var states = reference.Streams[layer + 1]; // the first is before all layers
        return states.data<double>().ToArray().Chunk((int)states.shape[^1]).ToArray()[(ids.Length - count - 1)..^1];
    }

    static double Kl(double[] p, double[] q) => p.Zip(q, (a, b) => a * Math.Log(a / b)).Sum();

    static (LossTotals Totals, float[] Gradient) Accumulate(
        ModelParameters student,
        ModelParameters teacher,
        IReadOnlyList<TraceTokens> batch,
        ObjectivePlan plan
    )
    {
        var weights = TrainedWeights.All(student);
        using var model = new TeacherModel(teacher, isOwned: false);
        using var auxiliary = AuxiliaryWeights.Of(plan.Objectives, student.Configuration, teacher.Configuration, seed: 1);
        return TestDevice.With(weights, () =>
        {
            model.MoveTo(weights.Model.Device, ComputeDtype.Float32);
            auxiliary.MoveTo(weights.Model.Device);
            using var all = new GradientWorkers(weights, 2, 60, teacher: model, auxiliary: auxiliary);
            var totals = all.Accumulate(batch, plan.At(TrainingPoint.First));
            var slopes = new float[weights.Count];
            all.Gradient.Read(0, slopes);
            return (totals, slopes);
        });
    }
}
