namespace TraceDistill.Cli.Recipes;

/// <summary>A stage of a recipe ended before it was done.</summary>
/// <param name="recipe">The recipe's file.</param>
/// <param name="stage">The stage's name.</param>
/// <param name="cause">The exception that its verb, or its process, ended with.</param>
sealed class StageFailure(string recipe, string stage, Exception cause) : Exception($"{recipe}: {stage}: {cause.Message}", cause)
{
    /// <summary>The recipe's file and the stage, as messages begin.</summary>
    public string Place => $"{recipe}: {stage}";

    public Exception Cause => InnerException!;

    /// <summary>The same stage's failure, by one of several causes.</summary>
    public StageFailure By(Exception one) => new(recipe, stage, one);
}
