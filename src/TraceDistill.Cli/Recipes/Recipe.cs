using TraceDistill.Cli.Binding;

namespace TraceDistill.Cli.Recipes;

/// <summary>A recipe as it is written, parameters and overrides filled in, before its stages are worked out.</summary>
/// <param name="Name">Names the default run directory.</param>
/// <param name="Path">The recipe's file.</param>
/// <param name="Seed">The seed of every stage that has one and does not set it, or null.</param>
/// <param name="Jobs">Number of stages that run side by side, or null.</param>
/// <param name="Stages">The stages in the order written.</param>
sealed record Recipe(string Name, string Path, ConfigScalar? Seed, JobLimit? Jobs, IReadOnlyList<StageDefinition> Stages);

/// <summary>One stage as it is written.</summary>
/// <param name="Name">The stage's name.</param>
/// <param name="Location">Where its name stands.</param>
/// <param name="Settings">Everything under its name: <c>do</c>, <c>like</c>, <c>matrix</c> and the verb's options.</param>
sealed record StageDefinition(string Name, SourceLocation Location, ConfigMap Settings)
{
    public const string VerbKey = "do";
    public const string LikeKey = "like";
    public const string MatrixKey = "matrix";
}
