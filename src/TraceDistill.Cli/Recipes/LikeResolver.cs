using TraceDistill.Cli.Binding;
using TraceDistill.Text.Errors;

namespace TraceDistill.Cli.Recipes;

/// <summary>Replaces <c>like: OTHER</c> by everything that stage <c>OTHER</c> says and this one does not say itself.</summary>
sealed class LikeResolver(IReadOnlyList<StageDefinition> stages, ProblemList problems)
{
    public IReadOnlyList<StageDefinition> Resolve() => [.. stages.Select(stage => stage with { Settings = Complete(stage, []) })];

    ConfigMap Complete(StageDefinition stage, HashSet<string> following)
    {
        var own = stage.Settings.Without(StageDefinition.LikeKey);
        if (stage.Settings[StageDefinition.LikeKey] is not { } like)
        {
            return own;
        }

        var name = (like as ConfigScalar)?.Text;
        if (stages.FirstOrDefault(other => other.Name == name) is not { } model)
        {
            problems.Add(
                like.Origin,
                $"{stage.Name}.like",
                $"no stage {TypeWords.Of(like)}; {NearestName.Suggestion(name ?? "", [.. stages.Select(other => other.Name)])}"
            );
            return own;
        }

        if (!following.Add(stage.Name))
        {
            problems.Add(like.Origin, $"{stage.Name}.like", "goes round in a circle");
            return own;
        }

        return Complete(model, following).MergedWith(own);
    }
}
