using System.ComponentModel;
using TraceDistill.Data.Options;
using TraceDistill.Training.Distributions;
using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk

/// <summary>A quantity that a student is trained to make small, and its settings in a recipe, of which the weight may stand
/// alone.</summary>
[Shorthand(nameof(Weight))]
public abstract record Objective
{
    /// <value>1.</value>
    [Description("Weight of the objective in the loss: a number, or a map with schedule, from and to")]
    public Schedule Weight { get; init; } = Schedule.Constant(1);

    /// <summary>Its key in a recipe.</summary>
    public abstract string Name { get; }

    /// <summary>Under which it is reported: <c>loss_</c> and this.</summary>
    public virtual string ShortName => Name;

    /// <summary>The fault of its settings; null where there is none.</summary>
    public virtual string? Problem => null;

    /// <summary>Names of the numbers that it adapts from step to step.</summary>
    public virtual IReadOnlyList<string> Adapts => [];

    /// <summary>Notes what the next steps go by, after a step.</summary>
    /// <param name="state">Changed.</param>
    /// <param name="loss">Mean of this objective over the step's tokens, without its weight.</param>
    /// <param name="at">The step.</param>
    public virtual void Adapt(AdaptiveState state, double loss, TrainingPoint at) { }
}

/// <summary>
/// A function from the student's distributions and the teacher's to a loss for each token, differentiated by autograd.
/// </summary>
/// <remarks>
/// It sees a chunk of tokens at a time (<see cref="Head.ChunkedHead"/>), and what it takes from
/// <see cref="StudentRows"/> decides how much is computed. A new one is a file with a record, a property of
/// <see cref="ObjectiveChoice"/>, and a line in the tests of all of them.
/// </remarks>
public abstract record TokenObjective : Objective
{
    /// <summary>True where only tokens with soft targets have this loss.</summary>
    public abstract bool NeedsSoftTargets { get; }

    /// <summary>True where it looks at all of the student's logits, whatever the soft targets are.</summary>
    public virtual bool NeedsAllLogits => false;

    /// <summary>True where the teacher's distribution has to be that of a model, over the whole vocabulary.</summary>
    public virtual bool NeedsDenseTeacher => false;

    /// <summary>Says why it does not go with a policy for the probability that top-k soft targets leave out.</summary>
    /// <returns>The reason, such as "it compares …"; null where it goes with it, or looks at no soft targets.</returns>
    public virtual string? Refuses(MissingMass policy) => null;

    /// <param name="student">Its logits are leaves, or functions of leaves.</param>
    /// <param name="targets">Constants.</param>
    /// <param name="at">When.</param>
    /// <returns>[R] in nats; what it says of tokens without soft targets does not count where <see cref="NeedsSoftTargets"/>.</returns>
    public abstract Tensor Loss(StudentRows student, TargetRows targets, TrainingPoint at);
}
