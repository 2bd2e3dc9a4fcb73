namespace TraceDistill.Cli.Stages;

/// <summary>Facts a verb can know, before anything runs, about the stages that its own stage reads.</summary>
/// <param name="stages">All stages of the run.</param>
sealed class Foresight(IReadOnlyList<StageAhead> stages)
{
    /// <summary>All stages of the run; none where a verb runs by itself.</summary>
    public IReadOnlyList<StageAhead> Stages => stages;

    /// <summary>The stage that makes a file or folder; null where it comes from outside.</summary>
    public StageAhead? MakerOf(string? path) =>
        path is null
            ? null
            : stages.FirstOrDefault(stage =>
                Path.TrimEndingDirectorySeparator(path) == stage.Folder
                || path.StartsWith(stage.Folder + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            );

    /// <summary>Returns whether a file or folder is there already and will be read as it is.</summary>
    public bool IsThere(string? path) => path is not null && Path.Exists(path) && MakerOf(path) is not { IsFinished: false };
}

/// <summary>A stage as far as it is known before it runs.</summary>
/// <param name="Name">Its name; of copies of a matrix the one that they share.</param>
/// <param name="Options">Its verb's options.</param>
/// <param name="Folder">Where its results will lie.</param>
/// <param name="IsFinished">True where they lie there already.</param>
sealed record StageAhead(string Name, object Options, string Folder, bool IsFinished)
{
    /// <summary>Its name in the recipe, before a matrix repeated it.</summary>
    public string Family => Path.GetFileName(Folder).Split('.', 2)[0];
}

/// <summary>Something that a stage will run into.</summary>
/// <param name="IsCertain">True where the stage is sure to fail on it; otherwise its result may be other than wanted.</param>
/// <param name="Text">Description of the problem, and the line to add or change.</param>
sealed record Foreseen(bool IsCertain, string Text);
