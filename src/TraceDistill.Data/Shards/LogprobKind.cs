namespace TraceDistill.Data.Shards;

/// <summary>Which distribution the teacher's logprobs describe.</summary>
public enum LogprobKind
{
    /// <summary>The model's own distribution, before temperature, top-p and penalties.</summary>
    Raw,

    /// <summary>The distribution that tokens were really drawn from, after temperature, top-p and penalties.</summary>
    Processed,
}
