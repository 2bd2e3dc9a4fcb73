using TraceDistill.Teachers.Telemetry;

namespace TraceDistill.Cli.Reporting.Reading;

/// <summary>One finished stage of a run.</summary>
sealed record StageFacts
{
    const string TrainVerb = "train";
    const string SoftTargetPrefix = "kd_";
    const string SoftTargetWeight = "kd_alpha";

    /// <summary>The stage's name, such as <c>student</c>, or <c>student.1.500</c> for a copy that a matrix made.</summary>
    public required string Name { get; init; }

    public required string Verb { get; init; }

    /// <summary>The stage's folder.</summary>
    public required string Folder { get; init; }

    public required double Seconds { get; init; }

    /// <summary>When its last attempt began and when it ended; null where that is not known.</summary>
    public (DateTimeOffset Start, DateTimeOffset End)? LastAttempt { get; init; }

    public required long PeakMemoryBytes { get; init; }

    public required string ProgramVersion { get; init; }

    /// <summary>
    /// Its options as the resolved recipe gives them, nested keys joined by dots (<c>architecture.hidden_size</c>); empty without a recipe.
    /// Other stages' results stand as <c>STAGE</c> or <c>STAGE/FILE</c>.
    /// </summary>
    public required IReadOnlyDictionary<string, string> Settings { get; init; }

    /// <summary>Usage of a teacher; null where it asked none.</summary>
    public CollectionUsage? Usage { get; init; }

    /// <summary>The name as it was written in the recipe, before a matrix repeated the stage.</summary>
    public string Family => Name.Split('.', 2)[0];

    /// <summary>
    /// Returns whether both are trainings that are alike but for soft targets, which this one has and <paramref name="other"/> has not.
    /// </summary>
    public bool AddsSoftTargetsTo(StageFacts other) =>
        Verb == TrainVerb
        && other.Verb == TrainVerb
        && UsesSoftTargets
        && !other.UsesSoftTargets
        && Settings.Where(IsNotOfSoftTargets).ToHashSet().SetEquals(other.Settings.Where(IsNotOfSoftTargets));

    bool UsesSoftTargets => !(double.TryParse(Settings.GetValueOrDefault(SoftTargetWeight), out var weight) && weight == 0);

    static bool IsNotOfSoftTargets(KeyValuePair<string, string> setting) =>
        !setting.Key.StartsWith(SoftTargetPrefix, StringComparison.Ordinal);

    /// <summary>Part of the name that a matrix added; empty for a stage that stands once.</summary>
    public string Copy => Name[Family.Length..];
}
