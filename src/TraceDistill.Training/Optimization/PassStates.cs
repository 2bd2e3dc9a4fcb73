using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Head;
using TraceDistill.Training.Objectives.States;
using static TorchSharp.torch;

namespace TraceDistill.Training.Optimization;

/// <summary>The states that a pass of student and teacher keeps for objectives and exits, and the loss of them.</summary>
sealed class PassStates : IDisposable
{
    readonly StepObjectives _objectives;
    readonly ModelConfiguration _student;
    readonly ModelConfiguration? _teacher;
    readonly AuxiliaryWeights? _auxiliary;
    readonly List<(string Objective, Dictionary<string, Tensor> Leaves)> _leaves = [];

    PassStates(StepObjectives objectives, ModelConfiguration student, ModelConfiguration? teacher, AuxiliaryWeights? auxiliary)
    {
        (_objectives, _student, _teacher, _auxiliary) = (objectives, student, teacher, auxiliary);
        OfStudent = new Captured(Wanted(pair => pair.Student, objectives.Exits?.Layers ?? []));
        OfTeacher = new Captured(Wanted(pair => pair.Teacher, []));
    }

    /// <param name="objectives">Of the step.</param>
    /// <param name="student">Shape of the student.</param>
    /// <param name="teacher">Shape of the teacher; null where no states are compared.</param>
    /// <param name="auxiliary">The objectives' own weights; null where no states are compared.</param>
    /// <returns>Null where nothing inside of the models is looked at.</returns>
    public static PassStates? Of(
        StepObjectives objectives,
        ModelConfiguration student,
        ModelConfiguration? teacher,
        AuxiliaryWeights? auxiliary
    ) => objectives.States.Count == 0 && objectives.Exits is null ? null : new PassStates(objectives, student, teacher, auxiliary);

    /// <summary>For the student's pass.</summary>
    public Captured OfStudent { get; }

    /// <summary>For the teacher's.</summary>
    public Captured OfTeacher { get; }

    /// <summary>[M, D] what leaves the student after a layer, at the wanted tokens.</summary>
    public Tensor Exit(int layer, TokenBatch batch)
    {
        var states = OfStudent.HiddenStates[layer];
        using var outputs = tensor(batch.Outputs, dtype: ScalarType.Int64, device: states.device);
        return states.index_select(0, outputs);
    }

    /// <summary>The weighted sum of all objectives, and each by itself.</summary>
    /// <param name="batch">What the student's pass ran over.</param>
    /// <param name="teacherBatch">What the teacher's did.</param>
    /// <param name="device">The student's.</param>
    /// <returns>Null where no states are compared.</returns>
    public (Tensor Loss, IReadOnlyList<TermTotal> Totals)? Evaluate(TokenBatch batch, TokenBatch teacherBatch, Device device)
    {
        if (_teacher is null || _auxiliary is null || _objectives.States.Count == 0)
        {
            return null;
        }

        LayerStates student = LayerStates.Of(_student, OfStudent),
            teacher = LayerStates.Of(_teacher, OfTeacher);
        var loss = zeros([], dtype: ScalarType.Float64, device: device);
        var totals = new List<TermTotal>();
        foreach (var (objective, weight) in _objectives.States)
        {
            var own = _auxiliary.Leaves(objective.Name);
            StatePair Pair(LayerStates states) => new(states, teacher, batch, teacherBatch, device, own);
            var pair = Pair(student);
            if (pair.Sequences < objective.LeastSequences)
            {
                totals.Add(new TermTotal(objective.ShortName, 0, 0));
                continue;
            }

            _leaves.Add((objective.Name, own));
            var sum = objective.Loss(pair, _objectives.At).to(ScalarType.Float64);
            loss = loss.Plus(sum.Times(weight));
            totals.Add(
                new TermTotal(objective.ShortName, sum.item<double>(), batch.Outputs.Length)
                {
                    SquaredGradient = _objectives.Measures ? SquaredGradient(objective, student.Leaves(), Pair) : null,
                }
            );
        }

        return (loss, totals);
    }

    /// <summary>Sum of the squares of an objective's gradient by the student's states that it compares.</summary>
    /// <param name="objective">Compares them.</param>
    /// <param name="leaves">Those states, apart from the student's graph: no way back goes through its layers.</param>
    /// <param name="pair">Brings them together with the teacher's.</param>
    double SquaredGradient(StateObjective objective, LayerStates leaves, Func<LayerStates, StatePair> pair)
    {
        var layers = objective.Pairs(_student, _teacher!).Select(layer => layer.Student).Distinct();
        Tensor[] compared = [.. layers.SelectMany(layer => leaves.Of(objective.Kind, layer))];
        var slopes = autograd.grad([objective.Loss(pair(leaves), _objectives.At)], compared, allow_unused: true);
        using var noGrad = no_grad();
        return slopes
            .Where(slope => slope is not null && !slope.IsInvalid)
            .Sum(slope => slope.Squared().sum(ScalarType.Float64).item<double>());
    }

    /// <summary>Adds the gradients of the objectives' own weights, after the way back.</summary>
    /// <param name="gradient">Of all of them.</param>
    public void AddGradients(FloatBuffer gradient)
    {
        foreach (var (objective, leaves) in _leaves)
        {
            _auxiliary!.AddGradients(objective, leaves, gradient);
        }
    }

    public void Dispose()
    {
        OfStudent.Dispose();
        OfTeacher.Dispose();
    }

    Capture Wanted(Func<(int Student, int Teacher), int> side, IReadOnlyList<int> exits)
    {
        return new Capture
        {
            HiddenStates = Of(StateKind.Hidden).Concat(exits).ToHashSet(),
            AttentionMaps = Of(StateKind.AttentionMaps),
            Values = Of(StateKind.Values),
        };

        HashSet<int> Of(StateKind kind) =>
            [
                .. _objectives
                    .States.Where(term => term.Objective.Kind == kind)
                    .SelectMany(term => term.Objective.Pairs(_student, _teacher!).Select(side)),
            ];
    }
}
