namespace TraceDistill.Data.Shards;

/// <summary>Certainty with which the tokens of a data set are known; what a student can learn from it hangs on this.</summary>
public enum TokenIdentity
{
    /// <summary>No token ids: text alone, for the hard loss.</summary>
    Text,

    /// <summary>Ids found through the tokens' bytes, each a unique match in the vocabulary.</summary>
    Bytes,

    /// <summary>Ids as the teacher itself reported them.</summary>
    Ids,
}
