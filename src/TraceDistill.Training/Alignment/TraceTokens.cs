namespace TraceDistill.Training.Alignment;

/// <summary>One training sequence in the student's tokens.</summary>
/// <param name="Ids">Prompt, then completion with its end-of-sequence token.</param>
/// <param name="FirstTrained">Index of the first completion token; those before it are context only.</param>
/// <param name="Soft">A row for each trained token, or null for hard loss only.</param>
public sealed record TraceTokens(int[] Ids, int FirstTrained, ISoftTargetSource? Soft)
{
    /// <summary>Tokens that are trained on.</summary>
    public int Trained => Ids.Length - FirstTrained;

    /// <summary>Returns whether any trained token has soft targets.</summary>
    public bool HasSoftTargets => Soft?.Read() is { } soft && Enumerable.Range(0, soft.Tail.Length).Any(row => soft.Present(row) > 0);

    /// <summary>The memory that it takes, in bytes: about 40 a token from compact shards at k = 20.</summary>
    public long Bytes => (sizeof(int) * (long)Ids.Length) + (Soft?.Bytes ?? 0) + 200;
}
