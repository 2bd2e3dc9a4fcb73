using TraceDistill.Models;
using TraceDistill.Models.Configuration;
using TraceDistill.Models.Passes;
using TraceDistill.Models.Tensors;
using TraceDistill.Training.Objectives;
using TraceDistill.Training.Objectives.States;
using TraceDistill.Training.Optimization;
using static TorchSharp.torch;

namespace TraceDistill.Training.Head;

/// <summary>The states that a pass of student and teacher keeps for some objectives, and the loss of them.</summary>
sealed class PassStates : IDisposable
{
    readonly IReadOnlyList<StateTerm> _terms;
    readonly ModelConfiguration _student,
        _teacher;
    readonly AuxiliaryWeights _auxiliary;
    readonly List<(string Objective, Dictionary<string, Tensor> Leaves)> _leaves = [];

    /// <param name="terms">The objectives.</param>
    /// <param name="student">Shape of the student.</param>
    /// <param name="teacher">Shape of the teacher.</param>
    /// <param name="auxiliary">The objectives' own weights.</param>
    public PassStates(IReadOnlyList<StateTerm> terms, ModelConfiguration student, ModelConfiguration teacher, AuxiliaryWeights auxiliary)
    {
        (_terms, _student, _teacher, _auxiliary) = (terms, student, teacher, auxiliary);
        OfStudent = new Captured(Wanted(pair => pair.Student));
        OfTeacher = new Captured(Wanted(pair => pair.Teacher));
    }

    /// <summary>For the student's pass.</summary>
    public Captured OfStudent { get; }

    /// <summary>For the teacher's.</summary>
    public Captured OfTeacher { get; }

    /// <summary>The weighted sum of all objectives, and each by itself.</summary>
    /// <param name="batch">What both passes ran over.</param>
    /// <param name="device">The student's.</param>
    /// <param name="at">The step.</param>
    public (Tensor Loss, IReadOnlyList<TermTotal> Totals) Evaluate(TokenBatch batch, Device device, TrainingPoint at)
    {
        LayerStates student = LayerStates.Of(_student, OfStudent),
            teacher = LayerStates.Of(_teacher, OfTeacher);
        var loss = zeros([], dtype: ScalarType.Float64, device: device);
        var totals = new List<TermTotal>();
        foreach (var (objective, weight) in _terms)
        {
            var own = _auxiliary.Leaves(objective.Name);
            _leaves.Add((objective.Name, own));
            var sum = objective.Loss(new StatePair(student, teacher, batch, device, own), at).to(ScalarType.Float64);
            loss = loss.Plus(sum.Times(weight));
            totals.Add(new TermTotal(objective.ShortName, sum.item<double>(), batch.Outputs.Length));
        }

        return (loss, totals);
    }

    /// <summary>Adds the gradients of the objectives' own weights, after the way back.</summary>
    /// <param name="gradient">Of all of them.</param>
    public void AddGradients(FloatBuffer gradient)
    {
        foreach (var (objective, leaves) in _leaves)
        {
            _auxiliary.AddGradients(objective, leaves, gradient);
        }
    }

    public void Dispose()
    {
        OfStudent.Dispose();
        OfTeacher.Dispose();
    }

    Capture Wanted(Func<(int Student, int Teacher), int> side)
    {
        return new Capture
        {
            HiddenStates = Of(StateKind.Hidden),
            AttentionMaps = Of(StateKind.AttentionMaps),
            Values = Of(StateKind.Values),
        };

        HashSet<int> Of(StateKind kind) =>
            [
                .. _terms
                    .Where(term => term.Objective.Kind == kind)
                    .SelectMany(term => term.Objective.Pairs(_student, _teacher).Select(side)),
            ];
    }
}
