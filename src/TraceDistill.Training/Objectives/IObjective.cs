using static TorchSharp.torch;

namespace TraceDistill.Training.Objectives;

// R = tokens of a chunk

/// <summary>
/// The quantity that a student is trained to make small: a function from its distributions and the teacher's to a loss for each token,
/// differentiated by autograd.
/// </summary>
/// <remarks>
/// An objective sees a chunk of tokens at a time (<see cref="ChunkedHead"/>), in float64, and what it takes from
/// <see cref="StudentRows"/> decides how much is computed. A new one is a file with a class, and a test beside those of the others.
/// </remarks>
public interface IObjective
{
    /// <param name="student">Its logits are leaves, or functions of leaves.</param>
    /// <param name="targets">Constants.</param>
    /// <returns>[R] in nats; what it says of tokens without soft targets does not count where <see cref="NeedsSoftTargets"/>.</returns>
    Tensor Loss(StudentRows student, TargetRows targets);

    /// <summary>True where only tokens with soft targets have this loss.</summary>
    bool NeedsSoftTargets { get; }

    /// <summary>Says why it does not go with a policy for the probability that top-k soft targets leave out.</summary>
    /// <returns>The reason, such as "it compares …"; null where it goes with it, or looks at no soft targets.</returns>
    string? Refuses(MissingMass policy);
}
