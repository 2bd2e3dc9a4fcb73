using TraceDistill.Models.Configuration;
using TraceDistill.Models.Tensors;
using TraceDistill.Text.Errors;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives.States;

/// <summary>What a pass keeps of its layers.</summary>
public enum StateKind
{
    /// <summary>The residual stream as a layer leaves it.</summary>
    Hidden,

    /// <summary>Weights of attention.</summary>
    AttentionMaps,

    /// <summary>Values of attention.</summary>
    Values,
}

/// <summary>Weights that an objective trains beside the student, and that are no part of it.</summary>
/// <param name="Name">Within the objective.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Deviation">Standard deviation of the normal distribution that they are drawn from at first; 0 for zeros.</param>
public sealed record AuxiliaryWeight(string Name, long[] Shape, double Deviation)
{
    /// <summary>A projection of rows of one size to another, which keeps the size of what it projects.</summary>
    public static AuxiliaryWeight Projection(string name, long from, long to) => new(name, [to, from], 1 / Math.Sqrt(from));
}

/// <summary>
/// A function from the states inside of the student and of a teacher on disk (white-box distillation) to a loss, differentiated by autograd
/// together with that of the tokens. It compares the states of the tokens that are trained, not those of prompts.
/// </summary>
/// <remarks>
/// It sees one micro-batch at a time. What compares tokens sums over them; what compares samples, or is a figure of the whole micro-batch,
/// counts as much as the tokens of it. A new one is a file with a record and a property of <see cref="ObjectiveChoice"/>.
/// </remarks>
public abstract record StateObjective : Objective
{
    /// <summary>The layers that are compared.</summary>
    public abstract LayerMap Layers { get; init; }

    /// <summary>What it compares.</summary>
    public abstract StateKind Kind { get; }

    /// <summary>The pairs of layers that it compares.</summary>
    /// <param name="student">Shape of the student.</param>
    /// <param name="teacher">Shape of the teacher.</param>
    /// <exception cref="InvalidInputException">There are no such layers.</exception>
    public IReadOnlyList<(int Student, int Teacher)> Pairs(ModelConfiguration student, ModelConfiguration teacher) =>
        Layers.Of(student.NumHiddenLayers, teacher.NumHiddenLayers);

    /// <summary>Sequences with trained tokens that a micro-batch needs to have a loss by it.</summary>
    /// <value>1; more where sequences are compared with each other.</value>
    public virtual int LeastSequences => 1;

    /// <summary>Says in a line why two models cannot be compared so.</summary>
    /// <returns>Null where they can.</returns>
    public string? WhyNot(ModelConfiguration student, ModelConfiguration teacher)
    {
        if (Kind != StateKind.Hidden && (student.Recurrence ?? teacher.Recurrence) is not null)
        {
            return $"objectives: {Name}: a recurrent model has no attention: take hidden_states, which every model has";
        }

        return Layers.WhyNot(student.NumHiddenLayers, teacher.NumHiddenLayers)
            ?? (Refuses(student, teacher) is { } reason ? $"objectives: {Name}: {reason}" : null);
    }

    /// <summary>Says why two models whose layers are there cannot be compared so.</summary>
    /// <returns>The reason and what to do; null where they can.</returns>
    protected virtual string? Refuses(ModelConfiguration student, ModelConfiguration teacher) => null;

    /// <summary>Weights of its own that are trained with the student.</summary>
    public virtual IReadOnlyList<AuxiliaryWeight> Weights(ModelConfiguration student, ModelConfiguration teacher) => [];

    /// <param name="states">Of both models; the teacher's are constants.</param>
    /// <param name="at">When.</param>
    /// <returns>A scalar, summed over the trained tokens of the micro-batch.</returns>
    public abstract Tensor Loss(StatePair states, TrainingPoint at);

    /// <summary>Rows [M, D] divided by their root mean squares.</summary>
    private protected static Tensor AtUnitScale(Tensor x) => x / x.Squared().mean([1L], keepdim: true).AtLeast(LeastSquare).sqrt();

    /// <summary>Of a state that is 0, whose root has no slope.</summary>
    const double LeastSquare = 1e-12;

    /// <summary>Key of a layer's weights in <see cref="StatePair.Own"/>.</summary>
    private protected static string At(int layer) => FormattableString.Invariant($"projection.{layer}");
}
