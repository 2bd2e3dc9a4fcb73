namespace TraceDistill.Cli.Recipes;

/// <summary>A stage of a recipe ended before it was done.</summary>
/// <param name="recipe">The recipe's file.</param>
/// <param name="stage">The stage's name.</param>
/// <param name="cause">The exception that its verb, or its process, ended with.</param>
sealed class StageFailure(string recipe, string stage, Exception cause) : Exception($"{recipe}: {stage}: {cause.Message}", cause)
{
    public Exception Cause => InnerException!;

    /// <summary>
    /// Puts the recipe's file and the stage in front of a message; one that begins with the stage's folder has its name already.
    /// </summary>
    public string Describe(string message) =>
        message.StartsWith($"{stage}: ", StringComparison.Ordinal) ? $"{recipe}: {message}" : $"{recipe}: {stage}: {message}";

    /// <summary>The same stage's failure, by one of several causes.</summary>
    public StageFailure By(Exception one) => new(recipe, stage, one);
}
