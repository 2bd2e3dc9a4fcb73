using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Cpu;
using TraceDistill.Models.Tensors;
using TraceDistill.Models.Weights;
using TraceDistill.Tests.Support;
using TraceDistill.Training.Alignment;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;
using TraceDistill.Training.Teaching;
using Xunit;
using static TorchSharp.torch;

namespace TraceDistill.Training.Tests.Objectives.States;

/// <summary>
/// Loss and slopes of the objectives that compare states, by the student's weights and by their own, are those of the formula and of its
/// central differences over two decoders that are written in float64 as well.
/// </summary>
[Trait("Category", "Numeric")]
public class StateObjectiveTests
{
    static readonly ModelConfiguration TeacherShape = SampleSequences.Shape with
    {
        HiddenSize = 48,
        NumHiddenLayers = 3,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
    };

    static readonly (int, int)[] Even = [(0, 1), (1, 2)],
        Last = [(1, 2)];

    static readonly Dictionary<string, (StateObjective Objective, StateFormulas.Formula Formula)> Cases = new()
    {
        ["mse"] = (new HiddenStates(), StateFormulas.Hidden(Even, StateFormulas.Mse)),
        ["mse of a pair"] = (new HiddenStates { Layers = LayerMap.Parse("1:0", null) }, StateFormulas.Hidden([(1, 0)], StateFormulas.Mse)),
        ["mse, normalized"] = (new HiddenStates { Normalize = true }, StateFormulas.Hidden(Even, StateFormulas.OfLengthOne)),
        ["cosine"] = (
            new HiddenStates { Distance = StateDistance.Cosine, Layers = LayerMap.Parse("last:2", null) },
            StateFormulas.Hidden(Even, StateFormulas.Cosine)
        ),
        ["cka"] = (new HiddenStates { Distance = StateDistance.Cka }, StateFormulas.Alignment(Even)),
        ["maps, kl"] = (new AttentionMaps(), StateFormulas.Maps(Even, isKl: true)),
        ["maps, mse"] = (new AttentionMaps { Distance = MapDistance.Mse, Layers = LayerMap.Last }, StateFormulas.Maps(Last, isKl: false)),
        ["maps, learned"] = (new AttentionMaps { HeadWeights = HeadWeights.Learned }, StateFormulas.Maps(Even, isKl: true)),
        ["values"] = (new ValueRelations(), StateFormulas.Values(Last, heads: 1)),
        ["values, two heads"] = (new ValueRelations { RelationHeads = 2, Layers = LayerMap.Even }, StateFormulas.Values(Even, heads: 2)),
        ["values, learned"] = (
            new ValueRelations
            {
                RelationHeads = 2,
                HeadWeights = HeadWeights.Learned,
                Layers = LayerMap.Even,
            },
            StateFormulas.Values(Even, heads: 2)
        ),
        ["rkd"] = (new Relations(), StateFormulas.Relations(Last, 1, 2)),
        ["rkd, distances"] = (new Relations { AngleWeight = 0, Layers = LayerMap.Even }, StateFormulas.Relations(Even, 1, 0)),
        ["fsp"] = (new FlowOfSolution(), StateFormulas.Flow(Even)),
        ["fsp, normalized"] = (new FlowOfSolution { Normalize = true }, StateFormulas.Flow(Even, isNormalized: true)),
        ["crd"] = (new Contrastive { Size = 7, Temperature = 0.3 }, StateFormulas.Contrast(Last, 0.3)),
        ["adversarial"] = (new Adversarial { Size = 6 }, StateFormulas.Discriminator(Last)),
    };

    public static TheoryData<string, bool> Names() =>
        [
            .. Cases.Keys.SelectMany(name =>
                new[] { new TheoryDataRow<string, bool>(name, false), new TheoryDataRow<string, bool>(name, true) }
            ),
        ];

    /// <summary>With a teacher of another shape, and of the student's.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void Accumulate_ObjectiveOfStates_HasLossAndSlopesOfItsFormula(string name, bool isOfOneSize)
    {
        var (objective, formula) = Cases[name];
        Check(objective, isOfOneSize, (_, _) => formula);
    }

    /// <summary>Weights by gradients are constants of a step.</summary>
    [Theory]
    [InlineData(MapDistance.Kl)]
    [InlineData(MapDistance.Mse)]
    public void Accumulate_HeadsWeighedByGradient_HasLossAndSlopesOfItsFormula(MapDistance distance)
    {
        var isKl = distance == MapDistance.Kl;
        Check(new AttentionMaps { HeadWeights = HeadWeights.Gradient, Distance = distance }, isOfOneSize: false, (student, teacher) =>
        {
            double[][] weights = [.. Even.Select(pair => StateFormulas.Balance(student, teacher, pair, isKl))];
            return StateFormulas.Maps(Even, isKl, (pair, head) => weights[pair][head]);
        });
    }

    [Fact]
    public void Accumulate_RelationHeadsWeighedByGradient_HasLossAndSlopesOfItsFormula() =>
        Check(
            new ValueRelations
            {
                RelationHeads = 2,
                HeadWeights = HeadWeights.Gradient,
                Layers = LayerMap.Even,
            },
            isOfOneSize: false,
            (student, teacher) =>
            {
                double[][] weights = [.. Even.Select(pair => StateFormulas.BalanceOfValues(student, teacher, pair, heads: 2))];
                return StateFormulas.Values(Even, heads: 2, (pair, head) => weights[pair][head]);
            }
        );

    /// <summary>The norm of an objective's gradient by the student's states, each of which is moved by itself.</summary>
    [Theory]
    [InlineData("mse of a pair")]
    [InlineData("cosine")]
    [InlineData("values")]
    public void Accumulate_Measured_TellsTheNormOfTheGradientByTheStates(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (objective, formula) = Cases[name];
        using var student = SampleSequences.Parameters();
        using var teacher = new ModelParameters(TeacherShape);
        teacher.Initialize(9);
        var batch = SampleSequences.Create(2);
        using var auxiliary = AuxiliaryWeights.Of([objective], student.Configuration, teacher.Configuration, 5);
        var own = Fill(objective, auxiliary);

        var plain = Accumulate(student, teacher, auxiliary, objective, batch);
        var measured = Accumulate(student, teacher, auxiliary, objective, batch, measures: true);

        Assert.Equal(plain.Gradient, measured.Gradient);
        Assert.Equal(plain.Own, measured.Own);
        Assert.Null(plain.Totals.Terms.Single().SquaredGradient);
        var (reference, taught) = (new ReferenceLlama(student), new ReferenceLlama(teacher));
        SampleStates[] states = [.. batch.Select(sequence => StatesOf(reference, sequence))],
            teacherStates = [.. batch.Select(sequence => StatesOf(taught, sequence))];
        var compared = objective.Pairs(student.Configuration, teacher.Configuration).Select(pair => pair.Student);
        var rows = states
            .SelectMany(sequence =>
                compared.SelectMany(layer => (objective.Kind == StateKind.Values ? sequence.Values : sequence.Hidden)[layer])
            )
            .ToList();
        var squares = rows.Sum(row => Enumerable.Range(0, row.Length).Sum(i => Math.Pow(Slope(row, i), 2)));
        var tolerance = Rounding.OfBackward(TeacherShape, 30);
        Assert.Equal(squares, measured.Totals.Terms.Single().SquaredGradient!.Value, 2 * tolerance * squares);

        double Slope(double[] row, int i)
        {
            const double Step = 1e-5;
            var (value, here) = (row[i], new double[2]);
            foreach (var side in (int[])[0, 1])
            {
                row[i] = value + (side == 0 ? Step : -Step);
                here[side] = formula(states, teacherStates, own);
            }

            row[i] = value;
            return (here[0] - here[1]) / (2 * Step);
        }
    }

    /// <param name="formula">From the states before the first change.</param>
    static void Check(StateObjective objective, bool isOfOneSize, Func<SampleStates[], SampleStates[], StateFormulas.Formula> formula)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        const double Weight = 0.8;
        using var student = SampleSequences.Parameters();
        using var teacher = new ModelParameters(isOfOneSize ? TeacherShape with { HiddenSize = 32 } : TeacherShape);
        teacher.Initialize(9);
        var batch = SampleSequences.Create(4);
        objective = objective with { Weight = Schedule.Constant(Weight) };
        using var auxiliary = AuxiliaryWeights.Of([objective], student.Configuration, teacher.Configuration, 5);
        var own = Fill(objective, auxiliary);

        var (totals, gradient, ownGradient) = Accumulate(student, teacher, auxiliary, objective, batch);

        var (reference, taught) = (new ReferenceLlama(student), new ReferenceLlama(teacher));
        SampleStates[] teacherStates = [.. batch.Select(sequence => StatesOf(taught, sequence))];
        var of = formula([.. batch.Select(sequence => StatesOf(reference, sequence))], teacherStates);
        var tolerance = Rounding.OfBackward(TeacherShape, 30);
        Assert.Equal(Value(), totals.Of(objective.Name), tolerance * Math.Abs(totals.Of(objective.Name)));
        Assert.Equal(Weight * totals.Of(objective.Name), totals.Loss, 1e-12 * Math.Abs(totals.Loss));

        // What is learned against the discriminator has its slope with the sign turned.
        double Sign(string name) => objective is Adversarial && (name.Length == 0 || name.StartsWith("projection")) ? -1 : 1;
        var length = Math.Sqrt(gradient.Sum(slope => (double)slope * slope));
        Assert.True(length > 0);
        double[] along = [.. gradient.Select(slope => slope / length)];
        Assert.Equal(length, Sign("") * Along(along), tolerance * length);
        foreach (var seed in Enumerable.Range(0, 4))
        {
            var random = new Random(seed);
            double[] direction = [.. gradient.Select(_ => random.Next(2) * 2 - 1.0)];
            var slope = direction.Zip(gradient, (sign, value) => sign * value).Sum();
            Assert.Equal(slope, Sign("") * Along(direction), tolerance * length * Math.Sqrt(direction.Length));
        }

        foreach (var (name, values) in own)
        {
            var slopes = ownGradient[name];
            var size = Math.Sqrt(slopes.Sum(slope => slope * slope));
            Assert.True(size > 0, name);
            double[] direction = [.. slopes.Select(slope => slope / size)];
            var difference = Difference(step =>
            {
                foreach (var (row, first) in values.Select((row, index) => (row, index * values[0].Length)))
                {
                    for (var i = 0; i < row.Length; i++)
                    {
                        row[i] += step * direction[first + i];
                    }
                }
            });
            Assert.Equal(size, Sign(name) * difference, tolerance * size);
        }

        double Value() => of([.. batch.Select(sequence => StatesOf(reference, sequence))], teacherStates, own);

        double Along(double[] direction) => Weight * CentralDifferences.Along(reference, student, direction, Value);

        double Difference(Action<double> move) => Weight * CentralDifferences.Of(move, Value);
    }

    /// <summary>Gives those that begin at zero numbers as well, by which their slopes are not those of zero.</summary>
    /// <returns>All, row by row.</returns>
    static Dictionary<string, double[][]> Fill(StateObjective objective, AuxiliaryWeights auxiliary)
    {
        var own = new Dictionary<string, double[][]>();
        using var generator = new Generator(7);
        foreach (var (name, leaf) in auxiliary.Leaves(objective.Name))
        {
            using var values = leaf.detach();
            values.Add(randn(values.shape, generator: generator).Times(0.2));
            own.Add(name, [.. values.to(ScalarType.Float64).data<double>().ToArray().Chunk((int)values.shape[^1])]);
        }

        return own;
    }

    static (LossTotals Totals, float[] Gradient, Dictionary<string, double[]> Own) Accumulate(
        ModelParameters student,
        ModelParameters teacher,
        AuxiliaryWeights auxiliary,
        StateObjective objective,
        IReadOnlyList<TraceTokens> batch,
        bool measures = false
    )
    {
        var weights = TrainedWeights.All(student);
        using var model = new TeacherModel(teacher, isOwned: false);
        return TestDevice.With(weights, () =>
        {
            model.MoveTo(weights.Model.Device, ComputeDtype.Float32);
            auxiliary.MoveTo(weights.Model.Device);
            using var all = new GradientWorkers(weights, 2, 1_000, teacher: model, auxiliary: auxiliary);
            var plan = new ObjectivePlan { Objectives = [objective] };
            var totals = all.Accumulate(batch, plan.At(TrainingPoint.First) with { Measures = measures });
            var (slopes, own) = (new float[weights.Count], new float[auxiliary.Count]);
            all.Gradient.Read(0, slopes);
            all.AuxiliaryGradient!.Read(0, own);
            var (byName, first) = (new Dictionary<string, double[]>(), 0);
            foreach (var weight in objective.Weights(student.Configuration, teacher.Configuration))
            {
                var count = (int)weight.Shape.Aggregate((a, b) => a * b);
                byName.Add(weight.Name, [.. own[first..(first + count)].Select(value => (double)value)]);
                first += count;
            }

            return (totals, slopes, byName);
        });
    }

    static SampleStates StatesOf(ReferenceLlama reference, TraceTokens sequence)
    {
        using var scope = NewDisposeScope();
        reference.Forward(sequence.Ids);
        int[] rows = [.. Enumerable.Range(sequence.FirstTrained - 1, sequence.Trained)];
        return new SampleStates(
            [.. reference.Streams.Skip(1).Select(stream => Rows(stream, rows))],
            [.. reference.Maps.Select(map => Enumerable.Range(0, (int)map.shape[0]).Select(head => Rows(map[head], rows)).ToArray())],
            [.. reference.Values.Select(values => Rows(values.transpose(0, 1).flatten(1), [.. Enumerable.Range(0, sequence.Ids.Length)]))],
            rows
        );

        static double[][] Rows(Tensor all, int[] rows)
        {
            var width = (int)all.shape[1];
            var values = all.contiguous().data<double>().ToArray();
            return [.. rows.Select(row => values[(row * width)..((row + 1) * width)])];
        }
    }
}
