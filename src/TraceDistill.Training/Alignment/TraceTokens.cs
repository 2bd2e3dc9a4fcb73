namespace TraceDistill.Training.Alignment;

/// <summary>One training sequence in the student's tokens.</summary>
/// <param name="Ids">Prompt, then completion with its end-of-sequence token.</param>
/// <param name="FirstTrained">Index of the first completion token; those before it are context only.</param>
/// <param name="Soft">A row for each trained token, or null for none; of several stored teachers the first one's.</param>
public sealed record TraceTokens(int[] Ids, int FirstTrained, ISoftTargetSource? Soft)
{
    /// <summary>Tokens that are trained on.</summary>
    public int Trained => Ids.Length - FirstTrained;

    /// <summary>Soft targets of further stored teachers, each as <see cref="Soft"/>.</summary>
    public IReadOnlyList<ISoftTargetSource?> Further { get; init; } = [];

    /// <summary>The prompt that teachers which are models read before the completion.</summary>
    /// <value>Null: the student's own.</value>
    public int[]? TeacherPrompt { get; init; }

    /// <summary>Tokens that a teacher reads, the completion included.</summary>
    public int TeacherLength => (TeacherPrompt?.Length ?? FirstTrained) + Trained;

    /// <summary>True where the entries of <see cref="Soft"/> are drawn from the teacher's distributions (sampled_logprobs).</summary>
    public bool AreDraws { get; init; }

    /// <summary>True where the trace's answer was found incorrect, and that decides how much each of several teachers counts.</summary>
    public bool IsIncorrect { get; init; }

    /// <summary>Targets of a classifier, in place of tokens that are trained on; null in a training on traces.</summary>
    public LabelTargets? Labels { get; init; }

    /// <summary>The picture in the places of <see cref="Models.PicturePrompt.Token"/>; null where there are none.</summary>
    public SequencePicture? Picture { get; init; }

    /// <summary>True where no stored teacher says anything of the text.</summary>
    public bool IsUntold => Soft is null && Further.All(soft => soft is null);

    /// <summary>Returns whether any trained token has soft targets.</summary>
    public bool HasSoftTargets =>
        Further
            .Prepend(Soft)
            .Any(told => told?.Read() is { } soft && Enumerable.Range(0, soft.Tail.Length).Any(row => soft.Present(row) > 0));

    /// <summary>The memory that it takes, in bytes: about 40 a token from compact shards at k = 20.</summary>
    public long Bytes =>
        (sizeof(int) * (Ids.Length + (TeacherPrompt?.LongLength ?? 0)))
        + (Soft?.Bytes ?? 0)
        + Further.Sum(soft => soft?.Bytes ?? 0)
        + (Labels?.Bytes ?? 0)
        + (Picture is null ? 200 : 500);
}
