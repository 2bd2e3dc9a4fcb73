using TraceDistill.Training.Distributions;

namespace TraceDistill.Training.Teaching;

/// <summary>Several teachers whose distributions become one: models, and those whose soft targets come with the sequences.</summary>
public sealed class TeacherPanel
{
    /// <summary>All, in the order of their weights in metrics.</summary>
    public required IReadOnlyList<PanelMember> Members { get; init; }

    /// <summary>Those that are models, in the order of <see cref="Members"/>. Owned by the caller.</summary>
    public IReadOnlyList<TeacherModel> Models { get; init; } = [];

    /// <value>fixed.</value>
    public TeacherWeights Rule { get; init; }

    /// <value>probability.</value>
    public TeacherAverage Average { get; init; }

    /// <summary>Weighs them, with <see cref="TeacherWeights.Gate"/>; else null.</summary>
    public TeacherGate? Gate { get; init; }
}
